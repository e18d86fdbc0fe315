/* A small world around weir_land: a topic of numbers, a table, its quarantine, writers that land
 * windows, foreign engines, and everything that can go wrong between them. Files hold lines
 * "partition offset"; which records are bad is a function of partition and offset, so that every
 * writer refuses the same ones. Everything but the folder's name follows from the seed. */
#ifndef WEIR_TESTS_FAULT_WORLD_H
#define WEIR_TESTS_FAULT_WORLD_H

#include "scheduler/commit/letters.h"
#include "tests/fault/faults.h"

#define WRITERS_MAX 4
#define TABLE_NAME  "bronze.t"

struct world;

struct writer {
    struct world *world;
    int number;
    bool busy; /* inside a call: another one may act, not this one */
    char run_id[40];
    struct weir_object_store inner_store, store;
    struct weir_catalog inner_catalog, catalog;
    struct weir_lake lake;
    struct weir_table *stale; /* what it loaded last time */
    /* 0: everything by chance. Else a set of partitions, of which a window takes exactly as many
     * records as it is told, from the table as it is; syncs: with the quarantine after it. */
    uint64_t partitions;
    bool syncs;
};

/* How often things go wrong, of 1000 calls; and who else acts. */
struct manners {
    int fault, fault_of_reads, others;
    bool foreign, expiry, epochs, schemas;
};

enum tally {
    T_LANDED,
    T_SUPERSEDED,
    T_ABANDONED,
    T_FAILED,
    T_DECISION,
    T_BEFORE,
    T_AFTER,
    T_DELAYED,
    T_DELIVERED,
    T_DOUBLED,
    T_NESTED,
    T_COMPACTED,
    T_ROLLED_BACK,
    T_EXPIRED,
    T_OTHER_FOREIGN,
    T_EPOCHS,
    T_SCHEMAS,
    T_RETRIED,
    T_COUNT
};
extern const char *const tally_names[T_COUNT];

struct world {
    uint64_t seed, random;
    struct weir_context context;
    int64_t now_ms;
    char folder[256];
    bool object_store;
    int partitions, writer_count, depth;
    struct manners manners;
    struct faults faults;
    struct writer writers[WRITERS_MAX];
    struct writer observer; /* nothing of its own ever fails */
    long tallies[T_COUNT];
    int64_t objects;               /* names data files */
    int64_t epoch, epoch_sequence; /* the highest raised, and by which sequence number */
    int64_t
        landed[4096]; /* what was told to have landed: it stays, unless somebody sets main back */
    int landed_count;
    bool lying;           /* other engines' manifest lists count nothing, as those of v1 may */
    bool rewound, cut;    /* main was set back; snapshots were removed */
    char violation[1024]; /* the first one; "" = none */
    const char *scene;    /* what the violation is named by */
    bool trace;
};

/* Opens stores and catalogs in a new folder below a temporary one. */
void world_open(struct world *world, uint64_t seed, bool object_store, int partitions, int writers);
void world_close(struct world *world);

uint64_t world_below(struct world *world, uint64_t bound);
bool world_chance(struct world *world, int of_1000);
void world_violated(struct world *world, const char *format, ...) WEIR_PRINTF(2, 3);
bool world_is_bad(int partition, int64_t offset);

/* One window of a writer, from loading (or making) the table to its quarantine. `records` a
 * partition at most. Statuses that a run may end with are returned; all others are violations. */
weir_status writer_window(struct writer *writer, int64_t records, enum weir_landing *ret_landing);
weir_status writer_sync(struct writer *writer);
weir_status writer_epoch(struct writer *writer);
weir_status writer_retry(struct writer *writer);
/* A window that adds a column of this name. */
weir_status writer_column(struct writer *writer, const char *column,
                          enum weir_landing *ret_landing);

/* Other engines, through a catalog without faults. False when there was nothing to do. */
bool foreign_compact(struct world *world);
bool foreign_roll_back(struct world *world);
bool foreign_expire(struct world *world, bool keep_ours);
bool foreign_property(struct world *world);
bool foreign_tag(struct world *world);
bool foreign_branch(struct world *world);

/* Every offset below `next` exactly once in the table or the quarantine, none beyond; the state and
 * schemas of the ancestry; verify. final: the quarantine table is level too. */
void world_check(struct world *world, bool final);
/* Lets everything late arrive, faults off, each writer finishes; then world_check. */
void world_settle(struct world *world);
/* next of a partition as the head has it; -1 = no table. */
int64_t world_next(struct world *world, int partition);
weir_status world_load(struct world *world, const char *name, struct weir_table **ret_table);

#endif
