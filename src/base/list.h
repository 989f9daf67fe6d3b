/* SPDX-License-Identifier: MIT
 *
 * Doubly linked lists of structs that contain their own link: adding and removing one allocates
 * nothing and takes constant time.
 *
 * A list is one pointer, to its first link. Invariant: the first link's `prev` is the last one, the
 * last one's `next` is NULL, and the `prev` of a link that is in no list is NULL. So zeroed memory
 * is an empty list, or a link in none, and a struct list may be copied and moved (a link may not).
 * The usual circular list with a sentinel was rejected: it cannot be copied, and takes twice the
 * memory.
 */
#ifndef LARIAT_LIST_H
#define LARIAT_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list_link {
    struct list_link *prev, *next;
};

struct list {
    struct list_link *first; /* NULL: empty */
};

/* The struct of type `type` whose member `member` is this link, which must not be NULL. */
#define LIST_ITEM(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

static inline bool list_is_empty(const struct list *list) {
    return list->first == NULL;
}

/* Whether this link is in any list. */
static inline bool list_has(const struct list_link *link) {
    return link->prev != NULL;
}

/* Adds a link that is in no list as the last one. */
static inline void list_append(struct list *list, struct list_link *link) {
    struct list_link *first = list->first;
    link->next = NULL;
    if (first == NULL) {
        link->prev = link;
        list->first = link;
    } else {
        link->prev = first->prev;
        first->prev->next = link;
        first->prev = link;
    }
}

/* Adds a link that is in no list as the first one. */
static inline void list_prepend(struct list *list, struct list_link *link) {
    struct list_link *first = list->first;
    link->next = first;
    link->prev = first != NULL ? first->prev : link;
    if (first != NULL) {
        first->prev = link;
    }
    list->first = link;
}

/* Removes a link that is in this very list. */
static inline void list_remove(struct list *list, struct list_link *link) {
    struct list_link *first = list->first;
    if (link == first) {
        list->first = link->next;
    } else {
        link->prev->next = link->next;
    }
    if (link->next != NULL) {
        link->next->prev = link->prev;
    } else if (link != first) {
        first->prev = link->prev;
    }
    link->prev = NULL;
}

/* Removes and returns the first link of a list that is not empty. */
static inline struct list_link *list_take_first(struct list *list) {
    struct list_link *first = list->first;
    list->first = first->next;
    if (first->next != NULL) {
        first->next->prev = first->prev;
    }
    first->prev = NULL;
    return first;
}

/* Moves all links of `from`, which is empty afterwards, to the end of `list`; constant time. */
static inline void list_append_all(struct list *list, struct list *from) {
    struct list_link *first = list->first, *added = from->first;
    if (first == NULL) {
        list->first = added;
    } else if (added != NULL) {
        struct list_link *last = added->prev;
        added->prev = first->prev;
        first->prev->next = added;
        first->prev = last;
    }
    from->first = NULL;
}

#endif
