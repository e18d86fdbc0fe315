/* The sorting machine under ORDER BY and window functions. Private to the room.
 *
 * A row becomes one record of bytes:
 *   [struct sort_head][u32 group size, u32 0: only when grouped][key, padded to 8][payload row]
 * where memcmp of keys is the order asked for, and `sequence` (morsel and place in it) decides
 * among equals. So the order is total, and whatever is sorted by whichever thread, in memory or
 * through files, comes out the same. Keys are prefix-free: none begins another.
 *
 * Records are gathered apart by morsel (a part). When memory is short, parts are sorted and written
 * to a file as runs, which are merged at the end; otherwise all records are sorted at once. */
#ifndef WEIR_ENGINE_EXEC_SORT_INT_H
#define WEIR_ENGINE_EXEC_SORT_INT_H

#include "engine/exec/exec_int.h"

#include <pthread.h>
#include <string.h>

#define SORT_ENTRY_BYTES  32u     /* that a record costs beside itself while it is sorted */
#define SORT_COMMON_MAX   64u     /* bytes at the beginning of all keys that are left out */
#define SORT_KEEP_MAX     100000u /* rows of LIMIT + OFFSET that are worth a TopN */
#define SORT_MERGE_MAX    64u     /* runs merged at once */
#define SORT_SEQUENCE_BIT 40      /* sequence = morsel << 40 | row of the morsel */

struct sort_head {
    uint64_t sequence;
    uint32_t size; /* of the whole record, multiple of 8; here as weir_row_size looks for it */
    uint32_t key_size;
};

struct sort_entry {
    uint64_t prefix; /* 8 bytes of the key behind what is common, as a big endian number */
    uint8_t *record;
};

/* Records of one morsel. */
struct sort_part {
    struct sort_part *next;
    size_t morsel;
    uint64_t row_next; /* rows seen so far */
    struct weir_row_store store;
    const uint8_t *first; /* record whose key the others' are compared with */
    uint32_t common;      /* bytes all keys begin with */
    size_t reserved;      /* charged for sorting it */
    struct weir_arena arena;
    struct weir_buffer bound; /* TopN: the shared bound as this part saw it last */
    uint64_t bound_sequence;
    unsigned bound_version; /* 0 = none yet */
};

/* A sorted stretch of a file. */
struct sort_run {
    uint64_t offset, size;
};

struct sorter {
    struct exec *exec;
    struct weir_operator *operator;
    const struct weir_type *type;     /* STRUCT of the payload's columns */
    struct weir_row_layout layout;    /* payload */
    struct weir_row_layout record;    /* only to walk records by */
    const struct weir_sort_key *keys; /* partition columns first when grouped */
    uint32_t key_count, group_count;
    bool grouped;
    uint32_t key_offset;
    uint64_t keep; /* TopN: so many rows are enough; else UINT64_MAX */
    struct weir_arena arena;

    pthread_mutex_t lock; /* all below, until the end */
    struct sort_part *parts;
    uint64_t held; /* bytes of those */
    uint64_t held_rows;
    uint32_t common; /* of all keys seen, `common_key` */
    bool seen;
    uint8_t common_key[SORT_COMMON_MAX];
    struct weir_spill_file *file;
    struct sort_run *runs;
    uint32_t run_count, run_capacity;
    struct weir_buffer bound; /* TopN: rows above this key and sequence are not among the first */
    uint64_t bound_sequence;
    atomic_uint bound_version;

    /* the end, in memory */
    struct sort_entry *entries;
    uint64_t entry_count;
};

static inline const struct sort_head *sort_head(const uint8_t *record)
{
    return (const struct sort_head *)(const void *)record;
}
static inline uint32_t sort_pad(uint32_t size)
{
    return (size + 7) & ~7u;
}
static inline uint32_t sort_group_size(const uint8_t *record)
{
    uint32_t size;
    memcpy(&size, record + sizeof(struct sort_head), sizeof size);
    return size;
}
static inline uint8_t *sort_payload(const struct sorter *sorter, uint8_t *record)
{
    return record + sorter->key_offset + sort_pad(sort_head(record)->key_size);
}
/* 8 bytes of the key from `depth`, zeros behind its end. */
static inline uint64_t sort_prefix(const uint8_t *key, uint32_t key_size, uint32_t depth)
{
    uint64_t word;
    if (depth >= key_size)
        return 0;
    uint32_t left = key_size - depth;
    if (left >= 8 || key_size < 8) {
        memcpy(&word, key_size < 8 ? key : key + depth, sizeof word);
        return __builtin_bswap64(word) << (key_size < 8 ? depth * 8 : 0);
    }
    memcpy(&word, key + key_size - 8, sizeof word);
    return __builtin_bswap64(word) << (8 - left) * 8;
}
/* Bytes both begin with, at most `most`. */
uint32_t sort_common(const uint8_t *a, const uint8_t *b, uint32_t most);
/* Order of two keys, then of sequences: never 0 for two records. */
int sort_order(const struct sorter *sorter, const uint8_t *a, const uint8_t *b);

/* keys: live as long as the sorter. On failure there is nothing to be done with it. */
weir_status sorter_init(struct sorter *sorter, struct exec *exec, struct weir_operator *operator,
                        const struct weir_type * type, const struct weir_sort_key *keys,
                        uint32_t key_count, struct weir_error *reterr) WEIR_MUST_CHECK;
void sorter_done(struct sorter *sorter);

/* One morsel's way in: new, add any number of times, then end or free. */
weir_status sort_part_new(struct sorter *sorter, size_t morsel, struct sort_part **ret_part,
                          struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status sort_part_add(struct sorter *sorter, struct sort_part *part,
                          const struct weir_batch *batch,
                          struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status sort_part_end(struct sorter *sorter, struct sort_part *part, /* takes it, in any case */
                          struct weir_error *reterr) WEIR_MUST_CHECK;
void sort_part_free(struct sort_part *part);

/* All parts are in: sorts them into entries, or (run_count > 0) leaves runs to be merged. */
weir_status sorter_finish(struct sorter *sorter, struct weir_error *reterr) WEIR_MUST_CHECK;

/* ---- sort_entries.c ---- */
/* Sorts by key from `depth` on (before it all keys are equal); entries come in order of sequence
 * and equal keys stay so. temporary: as many. Uses threads if context is given. */
weir_status sort_entries(const struct sorter *sorter, struct weir_context *context,
                         struct sort_entry *entries, struct sort_entry *temporary, uint64_t count,
                         uint32_t depth, struct weir_error *reterr) WEIR_MUST_CHECK;
/* The parts' records as sorted entries in a block of *ret_count. */
weir_status sort_parts(const struct sorter *sorter, struct sort_part *parts, uint32_t common,
                       bool parallel, struct sort_entry **ret_entries, uint64_t *ret_count,
                       struct weir_error *reterr) WEIR_MUST_CHECK;

/* ---- sort_top.c ---- */
/* Rows of the batch that may be among the first: keys are at key_places. *ret_rows in the arena. */
weir_status sort_top_filter(struct sorter *sorter, struct sort_part *part,
                            uint8_t *const *key_places, const uint32_t *key_sizes, uint32_t count,
                            uint32_t *ret_rows, uint32_t *ret_count,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
/* Leaves only the first `keep` records of the parts, all in the first of them, and tells the others
 * what is not worth gathering. locked: the caller holds the lock. */
weir_status sort_top_cut(struct sorter *sorter, struct sort_part *parts, bool locked,
                         struct weir_error *reterr) WEIR_MUST_CHECK;

/* ---- sort_runs.c ---- */
/* Writes the parts as a run and empties them. The lock is held. */
weir_status sort_spill(struct sorter *sorter, struct sort_part *parts,
                       struct weir_error *reterr) WEIR_MUST_CHECK;
/* Merges until at most SORT_MERGE_MAX runs are left. */
weir_status sort_runs_reduce(struct sorter *sorter, struct weir_error *reterr) WEIR_MUST_CHECK;
/* All runs merged: records in order. */
struct sort_merge;
weir_status sort_merge_new(struct sorter *sorter, struct weir_spill_file *file,
                           const struct sort_run *runs, uint32_t count,
                           struct sort_merge **ret_merge,
                           struct weir_error *reterr) WEIR_MUST_CHECK;
/* The next record, NULL at the end; valid until the next call. */
weir_status sort_merge_next(struct sort_merge *merge, uint8_t **ret_record,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
void sort_merge_free(struct sort_merge *merge); /* NULL-safe */

/* Payload of the records as a batch in the arena. */
weir_status sort_read(const struct sorter *sorter, uint8_t *const *places, uint32_t count,
                      struct weir_arena *arena, struct weir_batch *ret_batch,
                      struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
