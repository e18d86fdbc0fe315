/* The executable model of the commit protocol: one in-memory store, three tables, a topic, and
 * actors.
 *
 * A history is a pure function of its seed. Everything lives in one struct world of fixed size;
 * nothing allocates. One call of actor_step is one atomic effect; between any two of them an actor
 * may be killed or sleep, a request may be delayed, sent twice, or lose its answer. README.md maps
 * the protocol's sections to these files. */
#ifndef WEIR_TESTS_MODEL_MODEL_H
#define WEIR_TESTS_MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
    PARTITION_COUNT = 3,
    INCARNATION_COUNT = 2,
    SLOT_COUNT = PARTITION_COUNT *
                 INCARNATION_COUNT, /* (incarnation, partition): the key of an offset */
    OFFSET_MAX = 40,
    FILE_MAX = 512,
    FILE_WORDS = FILE_MAX / 64,
    SNAPSHOT_MAX = 256,
    REF_MAX = 64,
    ACTOR_MAX = 8,
    DELAYED_MAX = 12,
    SPAWN_MAX = 128,
    NONE = -1,
};

enum table_id { BRONZE, QUARANTINE, SILVER, TABLE_COUNT };
enum ref_kind { REF_FREE, REF_BRANCH, REF_TAG };
enum { MAIN = 0 };

/* Sets: of records, as one word per slot, and of files. */
struct rows {
    uint64_t of[SLOT_COUNT];
};
struct files {
    uint64_t word[FILE_WORDS];
};

struct file {
    struct rows rows;
    bool alive;
    int name; /* only the mutant that reuses names looks at it */
};

/* What protocol.md section 2 keeps in every summary. */
struct state {
    uint8_t next[SLOT_COUNT], start[SLOT_COUNT], horizon[SLOT_COUNT];
    uint8_t incarnation;
    uint16_t epoch;
    int16_t source_to, source_tag; /* silver: weir.sources */
    struct rows coverage, holes, retried;
    struct rows erased;      /* the guard: records whose subject was erased, as they existed then */
    struct rows erased_done; /* those that the rewrite has taken out */
    struct files letters;
};

struct snapshot {
    int16_t parent;
    int16_t picked; /* source-snapshot-id: what Java's expiry spares */
    int16_t source; /* quarantine: the data head it mirrors */
    uint16_t sequence;
    bool alive, ever, has_state, foreign;
    struct files files, added, removed;
    struct state state;
};

struct table {
    struct snapshot snapshots[SNAPSHOT_MAX];
    int snapshot_count;
    struct {
        enum ref_kind kind;
        int16_t head;
    } refs[REF_MAX];
    int ref_count;
    uint16_t last_sequence;
    int16_t property_snapshot;
    struct state property;
    bool foreign_cut;    /* a foreign expiry or rollback may have cut or dropped what truth needs */
    uint16_t epoch_seen; /* the oracle's: the largest epoch that main's truth ever had */
};

struct request {
    enum table_id table;
    int assert_count, set_count;
    struct {
        int16_t ref, head;
    } asserts[REF_MAX];
    struct {
        int16_t ref, head;
        enum ref_kind kind;
    } sets[2]; /* head NONE removes the ref */
    int id;    /* NONE: no snapshot is added */
    struct snapshot snapshot;
    bool property, foreign, null_ref, raises_epoch;
    uint64_t expire[SNAPSHOT_MAX / 64];
};

enum answer { ANSWER_OK, ANSWER_CONFLICT, ANSWER_UNKNOWN };
enum test { TEST_GO, TEST_DONE, TEST_DROP };
enum phase {
    PHASE_SYNC_TABLE,
    PHASE_SYNC_DATA,
    PHASE_SYNC_SEND,
    PHASE_PLAN,
    PHASE_LOAD,
    PHASE_SEND,
    PHASE_VERDICT,
    PHASE_CUSTOM,
    PHASE_DONE
};

enum kind {
    WINDOW,
    SHARD,
    SYNC,
    BACKFILL,
    REPLACE,
    RETRY,
    ROLLBACK,
    MERGE,
    RETENTION,
    ERASE,
    GAP,
    REBIND,
    EXPIRE,
    SWEEP,
    PROMOTE,
    REBUILD,
    FOREIGN_COMPACT,
    FOREIGN_ROLLBACK,
    FOREIGN_EXPIRE,
    TRUNCATE,
    REMAKE,
    KIND_COUNT,
};

struct actor {
    enum kind kind;
    enum phase phase, after_sync;
    int number, wake, tries, resends, stage, config;
    uint64_t random;
    enum table_id table;
    int16_t head_ref, land_ref; /* whose head is the parent; which ref moves */
    bool once, unsure, blind, struck;
    uint16_t epoch;
    int16_t base, other;
    uint8_t from[SLOT_COUNT], to[SLOT_COUNT];
    struct rows rows, picked;
    struct files files, letters, uploaded, picked_files;
    struct request request;
    int16_t sync_head, sync_table_head;
    uint64_t seen_tags; /* promotions: those of the source, as it was loaded */
    struct state seen;
};

struct world {
    uint64_t seed, random;
    int time, violation_time;
    bool calm, trace;
    const struct mutant *mutant;
    uint64_t skip[SPAWN_MAX / 64];
    int spawned;
    struct file files[FILE_MAX];
    int file_count;
    struct table tables[TABLE_COUNT];
    /* the topic */
    int incarnation;
    uint8_t log_start[SLOT_COUNT], log_end[SLOT_COUNT], group[SLOT_COUNT];
    struct rows absent, filtered;
    bool append_only; /* the model of silver: append, else merge */
    bool old_core;
    /* the sweeper's list between its passes */
    bool sweep_open;
    int sweep_time, grace;
    struct files sweep_names;
    struct rows certified; /* records that an erasure has certified as gone */
    struct actor actors[ACTOR_MAX];
    int actor_count;
    struct request delayed[DELAYED_MAX];
    int delayed_count;
    bool dirty;
    uint64_t landed[KIND_COUNT +
                    1]; /* commits by kind, over all histories; the last: certified erasures */
    char violation[200];
};

/* Old mistakes put back; one at a time. MUTANT_LIST in mutants.def: name, spawn profile, what it
 * is. */
enum mutant_id {
    MUTANT_NONE,
#define MUTANT(id, name, profile, pain, text) id,
#include "mutants.def"
#undef MUTANT
    MUTANT_COUNT
};
struct mutant {
    enum mutant_id id;
    const char *name, *profile, *pain, *text;
};
static inline bool mutant_is(const struct world *world, enum mutant_id id)
{
    return world->mutant && world->mutant->id == id;
}

/* sets.c */
bool rows_any(const struct rows *set);
bool rows_meet(const struct rows *a, const struct rows *b);
bool rows_within(const struct rows *a, const struct rows *b); /* a is a part of b */
bool rows_equal(const struct rows *a, const struct rows *b);
void rows_add(struct rows *a, const struct rows *b);
void rows_take(struct rows *a, const struct rows *b);
void rows_keep(struct rows *a, const struct rows *b);
void rows_range(struct rows *set, int slot, int from, int to);
bool files_any(const struct files *set);
bool files_has(const struct files *set, int file);
void files_put(struct files *set, int file);
void files_drop(struct files *set, int file);
void files_add(struct files *a, const struct files *b);
void files_take(struct files *a, const struct files *b);
void files_keep(struct files *a, const struct files *b);
bool files_within(const struct files *a, const struct files *b);
bool files_equal(const struct files *a, const struct files *b);
/* The first file of the set at or after `file`, or NONE. */
int files_next(const struct files *set, int file);

/* world.c */
uint64_t random_next(uint64_t *state);
int random_below(uint64_t *state, int bound);
bool random_chance(uint64_t *state, int percent);
void world_init(struct world *world, uint64_t seed, const struct mutant *mutant,
                const uint64_t *skip);
void world_say(const struct world *world, const struct actor *actor, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void world_fail(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
int store_put(struct world *world, struct actor *actor, const struct rows *rows);
void store_delete(struct world *world, int file);
void store_rows(const struct world *world, const struct files *set, struct rows *ret_rows);
void world_refused(const struct world *world, int config, const struct rows *rows,
                   struct rows *ret_refused);

/* catalog.c */
int catalog_reserve(struct world *world,
                    enum table_id table); /* a random snapshot id: never the same twice */
int catalog_ref(struct world *world, enum table_id table); /* a ref name nobody used */
int16_t catalog_head(const struct world *world, enum table_id table, int ref);
bool catalog_is_ancestor(const struct world *world, enum table_id table, int id, int head);
bool catalog_truth(const struct world *world, enum table_id table, int head,
                   struct state *ret_state);
bool catalog_apply(struct world *world, struct request *request);
enum answer catalog_send(struct world *world, struct actor *actor, const struct request *request);
void catalog_deliver(struct world *world, int index);
void request_init(struct request *request, enum table_id table);
void request_assert(struct request *request, int ref, int head);
void request_set(struct request *request, int ref, int head, enum ref_kind kind);
void request_child(struct world *world, struct request *request, int head,
                   const struct state *state);

/* actors*.c */
struct actor_ops {
    const char *name;
    bool (*plan)(struct world *, struct actor *); /* false: nothing to do */
    enum test (*test)(struct world *, struct actor *, const struct state *); /* section 4 */
    bool (*build)(struct world *, struct actor *, const struct state *,
                  int head);                        /* fills actor->request */
    bool (*landed)(struct world *, struct actor *); /* true: another stage */
    void (*custom)(struct world *, struct actor *);
    bool sync_before, sync_after;
};
/* By kind; the order of enum kind. */
extern const struct actor_ops *const actor_kinds[KIND_COUNT];
extern const struct actor_ops window_ops, shard_ops, sync_ops, backfill_ops, replace_ops, retry_ops,
    rollback_ops, merge_ops, retention_ops, erase_ops, gap_ops, rebind_ops, expire_ops, sweep_ops,
    promote_ops, rebuild_ops, foreign_compact_ops, foreign_rollback_ops, foreign_expire_ops,
    truncate_ops, remake_ops;
void actor_init(struct world *world, struct actor *actor, enum kind kind, int number);
void actor_step(struct world *world, struct actor *actor);
void actor_upload(struct world *world, struct actor *actor, const struct rows *rows,
                  struct files *into);
/* Splits what a pipeline reads into landed and refused, uploads both. */
void actor_split(struct world *world, struct actor *actor, const struct rows *rows);
void actor_rewrite(struct world *world, struct actor *actor, const struct rows *without,
                   struct files *set, struct request *request);
void actor_filter(const struct world *world, const struct state *state, struct rows *rows);

/* The next live branch of any table after a->stage, made the actor's target for a fence. */
bool actor_fence_next(struct world *world, struct actor *actor);
bool actor_fence_build(struct world *world, struct actor *actor, const struct state *base,
                       int head);

/* invariants.c */
void invariants_check(struct world *world);
void invariants_settled(struct world *world);

/* history.c */
bool history_run(struct world *world, uint64_t seed, const struct mutant *mutant,
                 const uint64_t *skip, bool trace);

/* pointer.c: section 5, a world of its own */
bool pointer_run(uint64_t seed, const struct mutant *mutant, bool trace, char *ret_violation,
                 int size);

#endif
