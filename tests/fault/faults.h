/* A store and a catalog that forward to real ones and go wrong on demand: answers lost before or
 * after the deed, requests doubled, requests that take place later. Between any two calls others
 * may act. */
#ifndef WEIR_TESTS_FAULT_FAULTS_H
#define WEIR_TESTS_FAULT_FAULTS_H

#include "engine/base/io.h"
#include "formats/iceberg/catalog.h"

enum fault_kind {
    FAULT_NONE,
    FAULT_BEFORE,  /* nothing happens; `status` is answered */
    FAULT_AFTER,   /* it happens; `status` is answered all the same */
    FAULT_DELAYED, /* UNKNOWN_OUTCOME is answered; it happens at faults_deliver */
    FAULT_DOUBLED, /* it is sent twice; the second answer comes back */
};

struct fault {
    enum fault_kind kind;
    weir_status status;
};

struct delayed;
struct faults {
    /* What is to happen to this call. Kinds: put, settle, commit, create (writes) and get, head,
     * load (only BEFORE). NULL: nothing goes wrong. */
    struct fault (*next)(void *self, const char *kind, const char *name);
    /* Before each call, and after each load and write that was forwarded. May be NULL. */
    void (*around)(void *self, const char *kind, const char *name, bool before);
    void *self;
    struct delayed *first;
    int waiting;
};

/* The wrapped ones stay the caller's and must outlive the wrappers and what is delayed. Free by
 * operations->free, which leaves the wrapped ones alone. */
struct weir_object_store faults_store(struct faults *faults, const struct weir_object_store *inner);
struct weir_catalog faults_catalog(struct faults *faults, struct weir_account *account,
                                   const struct weir_catalog *inner);

/* The delayed request number `at` takes place now. True if it did something. */
bool faults_deliver(struct faults *faults, int at);
void faults_drop(struct faults *faults); /* those that still wait never arrive */

#endif
