/* Between the files of hash aggregation.
 *
 * A group is a row of bytes (row.h) whose header is [u64 hash][state of each call]. Each morsel
 * gathers groups in a table of its own; a run of them (a piece) is handed over when the table has
 * grown large or the morsel ends. Pieces are merged into partitions (by bits of the hash) in order
 * of morsels, partition by partition, by whichever thread is free: so every state sees the same
 * sequence of updates and merges for any number of threads. Where pieces are cut is decided by the
 * data alone.
 *
 * Bits of a hash: 0..31 slot in a table, 34..41 bucket within a partition (the order of output, and
 * how a partition too large for memory is split), 42..47 partition, 48..63 tag in a slot. */
#ifndef WEIR_ENGINE_EXEC_AGGREGATE_INT_H
#define WEIR_ENGINE_EXEC_AGGREGATE_INT_H

#include "engine/exec/aggregate.h"
#include "engine/exec/exec_int.h"

#include <pthread.h>
#include <string.h>

#define AGGREGATE_PARTITIONS 64
#define AGGREGATE_BUCKETS    256
#define AGGREGATE_SPARE      8

static inline uint32_t hash_partition(uint64_t hash)
{
    return hash >> 42 & (AGGREGATE_PARTITIONS - 1);
}
static inline uint32_t hash_bucket(uint64_t hash)
{
    return hash >> 34 & (AGGREGATE_BUCKETS - 1);
}
static inline uint64_t hash_words(const uint8_t *from, uint32_t words)
{
    uint64_t hash = 0x9e3779b97f4a7c15u ^ words;
    for (uint32_t i = 0; i < words; i++) {
        uint64_t word;
        memcpy(&word, from + (size_t)i * 8, 8);
        unsigned __int128 product = (unsigned __int128)(hash ^ 0xd6e8feb86659fd93u) *
                                    (word ^ 0xa0761d6478bd642fu);
        hash = (uint64_t)product ^ (uint64_t)(product >> 64);
    }
    hash ^= hash >> 32;
    hash *= 0xd6e8feb86659fd93u;
    return hash ^ hash >> 32;
}
static inline uint64_t group_hash(const uint8_t *row)
{
    uint64_t hash;
    memcpy(&hash, row, sizeof hash);
    return hash;
}

/* ---- groups: a table ---- */

struct groups {
    uint64_t *slots; /* tag << 48 | address of the row; 0 = empty */
    uint32_t slot_count;
    uint32_t count;
    struct weir_row_store store;
    struct weir_arena *arena; /* what states hold; on its own so that it can be handed over */
    struct weir_aggregate_memory memory;
};

static inline uint64_t groups_bytes(const struct groups *groups)
{
    uint64_t slots = (uint64_t)groups->slot_count * sizeof *groups->slots;
    return groups->arena ? groups->store.byte_count + groups->arena->used + slots : 0;
}

struct aggregate_call {
    struct weir_aggregate_call call; /* as in the plan, or wrapped (aggregate_collect.c) */
    uint32_t first_argument;         /* among aggregate->expressions */
    uint32_t offset;                 /* of its state in the row */
};

/* Keys on their way into a table. */
struct aggregate_keys {
    uint32_t count;
    uint32_t *sizes;  /* of whole rows */
    uint8_t **places; /* rows whose header is not there: only from key_offset on */
    uint64_t *hashes;
};

struct aggregate_piece {
    struct weir_row_store store;
    struct weir_arena *arena;
    uint8_t **rows; /* by partition, in order */
    uint32_t starts[AGGREGATE_PARTITIONS + 1];
    atomic_uint left; /* partitions that have not taken theirs yet */
};

struct aggregate_morsel {
    struct aggregate_piece **pieces; /* NULL = taken by all */
    uint32_t count, capacity;
    bool whole;
};

struct aggregate_partition {
    pthread_mutex_t lock;
    struct groups groups;
    struct weir_spill_file *file; /* not NULL: everything goes there */
    size_t morsel;                /* what is to be taken next */
    uint32_t piece;
};

struct aggregate {
    struct exec_sink sink;
    struct weir_arena arena;
    struct weir_type *key_types; /* the set's number last, if there are sets */
    uint32_t key_count;          /* in rows */
    struct weir_row_layout layout;
    struct aggregate_call *calls;
    uint32_t call_count;
    struct weir_node **arguments; /* of all calls */
    uint32_t argument_count;
    uint8_t *header; /* of a new group */
    uint64_t piece_bytes;
    bool plain;       /* no state has memory of its own: rows can be copied */
    bool numbers_set; /* the set's number is the last key */
    pthread_mutex_t lock;
    struct aggregate_morsel *morsels;
    size_t morsel_count;
    size_t head;                      /* the first morsel that is not whole */
    atomic_bool abandoned;            /* some morsel failed */
    uint64_t *spare[AGGREGATE_SPARE]; /* empty slots, for the next morsel's table */
    uint32_t spare_count;
    struct aggregate_partition partitions[AGGREGATE_PARTITIONS];
};

weir_status groups_init(struct groups *groups, struct weir_account *account,
                        struct weir_error *reterr) WEIR_MUST_CHECK;
void groups_done(struct groups *groups);
/* The group of each key, made where it is new. */
weir_status groups_find(const struct aggregate *aggregate, struct groups *groups,
                        const struct aggregate_keys *keys, uint8_t **ret_rows,
                        struct weir_error *reterr) WEIR_MUST_CHECK;
/* One new group a key, without a look at the others. */
weir_status groups_append(const struct aggregate *aggregate, struct groups *groups,
                          const struct weir_vector *keys, uint32_t count,
                          struct weir_arena *scratch, uint8_t **ret_rows,
                          struct weir_error *reterr) WEIR_MUST_CHECK;
/* Other groups' rows (same layout) into this table, in order. */
weir_status groups_merge(const struct aggregate *aggregate, struct groups *groups,
                         uint8_t *const *rows, uint32_t count,
                         struct weir_error *reterr) WEIR_MUST_CHECK;
/* Encodes rows `rows` (NULL = all) of the keys in the arena. */
weir_status aggregate_keys_make(const struct aggregate *aggregate, const struct weir_vector *keys,
                                const uint32_t *rows, uint32_t count, struct weir_arena *arena,
                                struct aggregate_keys *ret_keys,
                                struct weir_error *reterr) WEIR_MUST_CHECK;

/* ---- codes: keys of few values (aggregate_codes.c) ---- */

/* If the keys' values of this batch can be numbered 0..*ret_codes-1 with no more than `most` codes:
 * each row's number in codes, true. */
bool aggregate_codes(const struct weir_vector *keys, uint32_t key_count, uint32_t count,
                     uint32_t most, uint32_t *codes, uint32_t *ret_codes);

/* ---- pieces and partitions (aggregate_merge.c) ---- */

/* Takes the groups' rows (groups are empty then) as the morsel's next piece, and merges what can be
 * merged. */
weir_status aggregate_hand_over(struct aggregate *aggregate, size_t morsel, struct groups *groups,
                                struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status aggregate_morsel_done(struct aggregate *aggregate, size_t morsel,
                                  struct weir_error *reterr) WEIR_MUST_CHECK;
/* Merges what is left of all morsels. */
weir_status aggregate_merge_all(struct aggregate *aggregate,
                                struct weir_error *reterr) WEIR_MUST_CHECK;
void aggregate_pieces_done(struct aggregate *aggregate);

/* ---- files (aggregate_spill.c) ---- */

weir_status aggregate_spill_rows(struct aggregate *aggregate, struct weir_spill_file *file,
                                 uint8_t *const *rows, uint32_t count,
                                 struct weir_error *reterr) WEIR_MUST_CHECK;
/* The partition's groups go to its file, which is made. */
weir_status aggregate_spill_partition(struct aggregate *aggregate,
                                      struct aggregate_partition *partition,
                                      struct weir_error *reterr) WEIR_MUST_CHECK;
/* All rows of a finished file into the groups. */
weir_status aggregate_load(struct aggregate *aggregate, struct weir_spill_file *file,
                           struct groups *groups, struct weir_error *reterr) WEIR_MUST_CHECK;
/* Splits a finished file by four bits of the bucket (shift 4 or 0), in order. */
weir_status aggregate_split(struct aggregate *aggregate, struct weir_spill_file *file,
                            uint32_t shift, struct weir_spill_file *ret_files[16],
                            struct weir_error *reterr) WEIR_MUST_CHECK;

/* ---- the other end (aggregate_source.c) ---- */
weir_status aggregate_source_new(struct aggregate *aggregate, struct exec_source **ret_source,
                                 struct weir_error *reterr) WEIR_MUST_CHECK;

/* ---- DISTINCT and ORDER BY in calls (aggregate_collect.c) ---- */
weir_status aggregate_collect_wrap(struct weir_arena *arena, const struct weir_aggregate_call *call,
                                   struct weir_aggregate_call *ret_call,
                                   struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
