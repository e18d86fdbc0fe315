/* Between the files of the hash join, which the set operators share in part.
 *
 * The build side's rows are kept as bytes (row.h): keys first, in a canonical form, then what the
 * join gives of them. A table over them is a directory of chains by the hash's high bits, each
 * entry a row's address and 16 bits that say which hashes the chain may hold. Rows of a chain are
 * in order of (morsel, position), whatever the number of threads.
 *
 * Short of memory, all rows of both sides go to one file a side, in runs by partition (the hash's
 * highest bits); partitions are joined one by one when the probe side is through. All or nothing,
 * so that the order of the result does not depend on when memory became short. A partition that is
 * too large is taken in chunks of build rows, its probe rows read once for each. */
#ifndef WEIR_ENGINE_EXEC_JOIN_INT_H
#define WEIR_ENGINE_EXEC_JOIN_INT_H

#include "engine/exec/exec_int.h"

#include <pthread.h>
#include <string.h>

#define JOIN_PARTITION_BITS 6
#define JOIN_PARTITIONS     (1u << JOIN_PARTITION_BITS)
#define JOIN_NOWHERE        UINT32_MAX

/* Header of a kept row. next: address of the next of the chain; its lowest bit: has a partner. */
struct join_row {
    uint64_t hash;
    atomic_ullong next;
};
#define JOIN_MATCHED 1ull

static inline struct join_row *join_row(uint8_t *place)
{
    return (struct join_row *)(void *)place;
}
static inline uint8_t *join_row_next(uint8_t *place)
{
    uint64_t next = atomic_load_explicit(&join_row(place)->next, memory_order_relaxed);
    return (uint8_t *)(uintptr_t)(next & ~JOIN_MATCHED);
}
static inline bool join_row_matched(uint8_t *place)
{
    return atomic_load_explicit(&join_row(place)->next, memory_order_relaxed) & JOIN_MATCHED;
}
static inline void join_row_match(uint8_t *place)
{
    if (!join_row_matched(place))
        atomic_fetch_or_explicit(&join_row(place)->next, JOIN_MATCHED, memory_order_relaxed);
}
static inline uint32_t join_partition_of(uint64_t hash)
{
    return (uint32_t)(hash >> (64 - JOIN_PARTITION_BITS));
}

/* ---- rows gathered in memory: by morsel, to be put in order of partitions ---- */

struct join_part {
    size_t morsel;
    struct weir_row_store store;
    uint64_t counts[JOIN_PARTITIONS];
};
struct join_parts {
    struct join_part **parts; /* by morsel; NULL = none */
    size_t capacity;
};
/* Takes the part over (frees it on failure). The caller holds a lock. */
weir_status join_parts_add(struct join_parts *parts, struct weir_account *account,
                           struct join_part *part, struct weir_error *reterr) WEIR_MUST_CHECK;
void join_parts_done(struct join_parts *parts);
void join_part_free(struct join_part *part); /* NULL-safe */
/* Addresses of all rows in order of (partition, morsel, position), the caller's block. starts:
 * JOIN_PARTITIONS + 1 numbers. context NULL: on this thread alone. */
weir_status join_parts_order(const struct join_parts *parts, const struct weir_row_layout *layout,
                             struct weir_context *context, struct weir_account *account,
                             uint8_t ***ret_rows, uint64_t *starts,
                             struct weir_error *reterr) WEIR_MUST_CHECK;

/* ---- rows in a file ---- */

struct join_segment {
    size_t morsel;
    uint32_t sequence, partition;
    uint64_t offset, size, row_count;
};
struct join_file {
    pthread_mutex_t lock;
    struct exec *exec;
    struct weir_operator *operator;
    const struct weir_row_layout *layout;
    uint32_t partition_count;     /* JOIN_PARTITIONS, or 1: rows are not told apart */
    struct weir_spill_file *file; /* NULL until the first row */
    struct join_segment *segments;
    size_t segment_count, segment_capacity;
};
void join_file_init(struct join_file *file, struct exec *exec, struct weir_operator *operator,
                    const struct weir_row_layout * layout, uint32_t partition_count);
void join_file_done(struct join_file *file);
/* Writes the store's rows and empties it. Several threads. sequence: of the morsel's calls. */
weir_status join_file_write(struct join_file *file, struct weir_row_store *store, size_t morsel,
                            uint32_t *sequence, struct weir_error *reterr) WEIR_MUST_CHECK;
/* No more writing: puts segments in order. */
weir_status join_file_finish(struct join_file *file, struct weir_error *reterr) WEIR_MUST_CHECK;
uint64_t join_file_rows(const struct join_file *file, uint32_t partition);
uint64_t join_file_bytes(const struct join_file *file, uint32_t partition);

/* Rows of one partition in order. Zeroed but for file and partition = at its start. */
struct join_file_reader {
    struct join_file *file;
    uint32_t partition;
    size_t segment;
    uint64_t at; /* within the segment: of the buffer's first byte */
    struct weir_buffer buffer;
    size_t used; /* bytes of the buffer handed out */
};
/* Up to `most` rows; valid until the next call. 0 = the end. */
weir_status join_file_read(struct join_file_reader *reader, uint32_t most, uint8_t **rows,
                           uint32_t *ret_count, struct weir_error *reterr) WEIR_MUST_CHECK;
void join_file_rewind(struct join_file_reader *reader);
/* Bytes of build rows that are held at once for one partition. Of the limit alone, so that the
 * order of results is. */
size_t join_chunk_bytes(const struct exec *exec);
/* Bytes after which rows for a file are written. */
size_t join_flush_bytes(const struct exec *exec);

/* ---- the table ---- */

struct join_table {
    struct weir_account *account;
    uint8_t **rows; /* in order of (partition, morsel, position) */
    uint64_t row_count;
    uint64_t starts[JOIN_PARTITIONS + 1];
    uint64_t *directory;
    uint32_t rotate, shift; /* index = hash << rotate >> shift */
    bool unique;            /* no two rows have one key */
    uint8_t **null_rows;    /* general MARK: rows with a null in a key */
    uint64_t null_count;
};

struct join {
    struct exec_sink sink;
    struct weir_arena arena;
    struct weir_row_layout layout;
    uint32_t key_count;
    struct weir_type *key_types; /* as stored: nested ones as bytes */
    uint32_t *stored;            /* of each build column: its column of the layout, JOIN_NOWHERE */
    uint32_t *payload;           /* build column of layout column key_count + i */
    uint32_t payload_count;
    uint32_t left_count, right_count;
    struct weir_type joined; /* left columns, right columns: what the filter looks at */
    uint8_t *needs;          /* bitmap of those that the filter looks at */
    bool keeps_nulls;        /* rows whose key is null are kept */
    bool marks_build;        /* build rows are told whether they have a partner */
    bool gives_pairs;        /* INNER, LEFT, RIGHT, FULL, SINGLE */
    bool once;               /* one partner is enough to know all of a probe row */
    bool mark_general;       /* MARK by more than one plain key: unknowns are looked for */

    pthread_mutex_t lock;
    struct join_parts parts;
    struct join_table table;
    atomic_bool spilling;
    bool finished;
    struct join_file file;
    atomic_ullong row_count; /* of the build side, those not kept too */
    atomic_bool null_seen;
    struct join_range { /* of integers */
        bool known;
        __int128 low, high;
    } * ranges;
};

/* Keys of one batch. */
struct join_keys {
    struct weir_vector *values; /* fixed width: flat */
    uint64_t *hashes;
    uint8_t *dead; /* per row: null in a key that nulls do not match; NULL = none */
};
weir_status join_keys_make(const struct join *join, struct weir_node *const *nodes,
                           const struct weir_batch *batch, struct weir_arena *arena,
                           struct join_keys *ret_keys, struct weir_error *reterr) WEIR_MUST_CHECK;
/* equal[i]: the keys of rows[i] are those of places[i]. wild: nulls equal everything (where nulls
 * are not values). */
void join_keys_equal(const struct join *join, const struct join_keys *keys, const uint32_t *rows,
                     uint8_t *const *places, uint32_t count, bool wild, uint8_t *equal);
bool join_row_dead(const struct join *join, const uint8_t *place);
uint64_t join_hash_long(uint64_t value);

/* Builds the table from the parts; they must stay. rotate: hash bits that all rows share. */
weir_status join_table_build(struct join *join, struct join_table *table,
                             const struct join_parts *parts, uint32_t rotate,
                             struct weir_context *context,
                             struct weir_error *reterr) WEIR_MUST_CHECK;
void join_table_done(struct join_table *table);

static inline uint64_t join_tag(uint64_t hash)
{
    return 1ull << (48 + (hash & 15));
}
#define JOIN_ADDRESS ((1ull << 48) - 1)
/* First row of the chain that may hold the hash, or NULL. */
static inline uint8_t *join_table_find(const struct join_table *table, uint64_t hash)
{
    uint64_t entry = table->directory[hash << table->rotate >> table->shift];
    return entry & join_tag(hash) ? (uint8_t *)(uintptr_t)(entry & JOIN_ADDRESS) : NULL;
}

/* ---- probing: one batch after the other, its result pulled batch by batch ---- */

enum join_stage { JOIN_IDLE, JOIN_MATCHING, JOIN_UNKNOWN, JOIN_REST };
#define JOIN_FOUND  1
#define JOIN_UNSURE 2 /* MARK: null */
struct join_cursor {
    struct join *join;
    const struct join_table *table;
    struct weir_arena arena; /* of the batch */
    struct weir_arena round; /* of some pairs, while they are filtered: there may be billions */
    const struct weir_batch *batch;
    struct join_keys keys;
    uint8_t *found; /* per row; the caller's, or the arena's */
    bool last;      /* no build rows beyond the table's: what has no partner is known */
    enum join_stage stage;
    uint32_t capacity;
    uint32_t *rows; /* candidates: a probe row and a place in its chain */
    uint8_t **places;
    uint8_t *equal;
    uint32_t active;
    uint32_t loop_row; /* nested loop */
    uint64_t loop_place;
    uint32_t *pair_rows; /* pairs of equal keys */
    uint8_t **pair_places;
    uint32_t pairs;
};
void join_cursor_init(struct join_cursor *cursor, struct join *join,
                      const struct join_table *table);
void join_cursor_done(struct join_cursor *cursor);
/* The batch must live until the cursor is through. found NULL: the cursor's own. */
weir_status join_cursor_start(struct join_cursor *cursor, const struct weir_batch *batch,
                              uint8_t *found, bool last, struct weir_error *reterr) WEIR_MUST_CHECK;
/* count 0 = through. */
weir_status join_cursor_next(struct join_cursor *cursor, struct weir_arena *arena,
                             struct weir_batch *ret_batch,
                             struct weir_error *reterr) WEIR_MUST_CHECK;
/* Build rows as the operator's output, without a probe row. */
weir_status join_unmatched_batch(const struct join *join, uint8_t *const *places, uint32_t count,
                                 struct weir_arena *arena, struct weir_batch *ret_batch,
                                 struct weir_error *reterr) WEIR_MUST_CHECK;

/* The source of what comes after all probe rows. probe: rows of the probe side in a file, NULL =
 * the join stayed in memory. */
weir_status join_remainder_new(struct join *join, struct join_file *probe,
                               struct exec_source **ret_source,
                               struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
