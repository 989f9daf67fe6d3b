/* SPDX-License-Identifier: MIT
 *
 * The empty C program, which start-up is compared with: the price of any process.
 */

int main(void) {
    return 0;
}
