/* SPDX-License-Identifier: MIT
 *
 * Random numbers from the seed: one stream for each purpose, so that drawing for one (the loss of a
 * packet, say) does not change the numbers of another. A fault that is switched off still draws, so a
 * run without it is the same run up to the first packet that the fault would have struck. From there on
 * the packets differ, and the numbers meet other packets.
 *
 * The generator is splitmix64 (Steele, Lea, Flood 2014): eight bytes of state, and good enough for
 * faults.
 */
#include "sim/event.h"

static uint64_t states[CHANCES];

static uint64_t scramble(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

void chance_open(uint64_t seed) {
    for (unsigned i = 0; i < CHANCES; i++) {
        states[i] = scramble(scramble(seed) + i * 0x9e3779b97f4a7c15u);
    }
}

uint64_t chance_of(uint64_t seed, uint64_t n) {
    return scramble(scramble(seed + 0x9e3779b97f4a7c15u) + n * 0x9e3779b97f4a7c15u);
}

static uint64_t next(enum chance stream) {
    states[stream] += 0x9e3779b97f4a7c15u;
    return scramble(states[stream]);
}

static double unit(enum chance stream) {
    return (double)(next(stream) >> 11) * 0x1p-53;
}

bool chance_happens(enum chance stream, double probability) {
    return unit(stream) < probability;
}

uint64_t chance_between(enum chance stream, uint64_t low, uint64_t high) {
    uint64_t range = high - low + 1;
    uint64_t drawn = next(stream);
    return range == 0 ? drawn : low + drawn % range;
}
