/* SPDX-License-Identifier: MIT
 *
 * Loads GNU readline by dlopen() and looks up the names of READLINE_NAMES. The library stays loaded
 * until the program ends.
 */
#include "repl/libreadline.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <string.h>

#define TEXT_OF(number) #number
#define FILE_OF(version) "libreadline.so." TEXT_OF(version)

struct libreadline gnu;

static bool find(void *library, const char *name, void *member) {
    void *address = dlsym(library, name);
    memcpy(member, &address, sizeof(address)); /* ISO C has no cast from void * to a function */
    return address != NULL;
}

const char *libreadline_load(void) {
    static bool found;
    if (found) {
        return NULL;
    }
    void *library = dlopen(FILE_OF(RL_VERSION_MAJOR), RTLD_NOW | RTLD_LOCAL);
    found = library != NULL;
#define FIND(name) found = found && find(library, #name, &gnu.name);
    READLINE_NAMES(FIND)
#undef FIND
    return found ? NULL : dlerror();
}
