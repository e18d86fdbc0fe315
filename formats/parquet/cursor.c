/* A cursor over one row group: which bytes are fetched, which rows are passed over, and batches of
 * those that are wanted.
 *
 * A batch is a run of rows. Columns that the filter looks at are decoded first; the others then
 * only for rows it selects, and a leaf that nobody asks for rows only counts how many to skip, so
 * that whole pages of it are never unpacked. */
#include "formats/parquet/scan_int.h"

#include "engine/base/limits.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SPARSE_BYTES                                                                               \
    (2u << 20)                    /* chunks together larger than this are read page by page where  \
                                    less than half of the rows is wanted */
#define SPARSE_AHEAD (256u << 10) /* bytes of such a read, at least */
#define PADDING      64
#define FETCH_GAP    (1u << 20)  /* chunks nearer than this are fetched together */
#define FETCH_MOST   (64u << 20) /* beyond this, leaves fetch piece by piece */
#define READ_AHEAD   (1u << 20)  /* bytes of such a piece */
#define SPARSE_SHARE                                                                               \
    16 /* fewer than one row in so many is selected: rows are picked one by one                    \
        */

struct column {
    const struct parquet_plan *plan;
    bool flat;  /* one leaf, neither nested nor repeated */
    bool early; /* the filter looks at it */
};

struct weir_parquet_cursor {
    struct weir_account *account;
    const struct weir_parquet_file *file;
    size_t group;
    const struct weir_parquet_read *read;
    uint32_t batch_rows;
    struct weir_arena arena; /* plans, ranges */
    struct parquet_kit *kit;
    bool own_kit;
    struct column *columns;
    uint32_t column_count;
    const struct weir_type **targets;    /* by file leaf */
    bool *needed;                        /* by file leaf */
    uint32_t *leaf_columns;              /* by file leaf: column it belongs to */
    struct parquet_leaf_reader **leaves; /* by file leaf; NULL: not needed */
    size_t fetched_count;                /* of the kit's ranges */
    uint64_t chunk_bytes;                /* of all leaves needed */
    bool early_fetched, late_fetched;
    struct parquet_rows piece; /* rows of the group that are this cursor's */
    struct parquet_rows *ranges;
    size_t range_count, range_at;
    uint64_t row; /* of the group, next */
};

static void count_up(atomic_ullong *counter, uint64_t more)
{
    atomic_fetch_add_explicit(counter, more, memory_order_relaxed);
}

static weir_status name_column(const struct weir_parquet_cursor *self, uint32_t leaf,
                               weir_status status, struct weir_error *reterr)
{
    const struct file_node *node = &self->file->meta.nodes[self->file->meta.leaf_nodes[leaf]];
    if (status != WEIR_OK)
        weir_error_prefix(reterr, "row group %zu, column %u \"%.*s\"", self->group, leaf,
                          (int)(node->name.size > 255 ? 255 : node->name.size),
                          node->name.data ? (const char *)node->name.data : "");
    return status;
}

/* ---- opening
 * ------------------------------------------------------------------------------------------------
 */

struct planned {
    struct parquet_plan *columns;
    const struct weir_type **targets;
    bool *needed;
};

static weir_status plan_read(struct weir_arena *arena, const struct weir_parquet_file *file,
                             const struct weir_parquet_read *read, struct planned *planned,
                             struct weir_error *reterr)
{
    size_t leaves = (size_t)file->meta.leaf_count + 1;
    WEIR_TRY(weir_arena_zero(arena, leaves, sizeof *planned->targets, &planned->targets, reterr));
    WEIR_TRY(weir_arena_zero(arena, leaves, sizeof *planned->needed, &planned->needed, reterr));
    return parquet_plan_make(arena, &file->meta, read->wanted, read->names, &planned->columns,
                             planned->targets, planned->needed, reterr);
}

weir_status parquet_read_check(struct weir_arena *arena, const struct weir_parquet_file *file,
                               const struct weir_parquet_read *read, struct weir_error *reterr)
{
    struct planned planned;
    return plan_read(arena, file, read, &planned, reterr);
}

bool weir_parquet_group_excluded(const struct weir_parquet_file *file, size_t group,
                                 const struct weir_parquet_read *read)
{
    struct weir_arena arena;
    struct planned planned;
    weir_arena_init(&arena, file->account);
    bool excluded = read->predicate_count &&
                    plan_read(&arena, file, read, &planned, NULL) == WEIR_OK &&
                    parquet_group_excluded(file, group, read, planned.columns);
    weir_arena_done(&arena);
    return excluded;
}

/* Which top-level column the leaves below a plan are read for. */
static void own_leaves(struct weir_parquet_cursor *self, const struct parquet_plan *plan,
                       uint32_t column)
{
    if (plan->leaf == PARQUET_NO_LEAF)
        return;
    self->leaf_columns[plan->leaf] = column;
    for (uint32_t i = 0; i < plan->type->child_count; i++)
        own_leaves(self, &plan->children[i], column);
}

static weir_status open_columns(struct weir_parquet_cursor *self, struct planned *planned,
                                struct weir_error *reterr)
{
    const struct weir_parquet_read *read = self->read;
    self->column_count = read->wanted->child_count;
    WEIR_TRY(weir_arena_zero(&self->arena, (size_t)self->column_count + 1, sizeof *self->columns,
                             &self->columns, reterr));
    WEIR_TRY(weir_arena_zero(&self->arena, (size_t)self->file->meta.leaf_count + 1,
                             sizeof *self->leaf_columns, &self->leaf_columns, reterr));
    for (uint32_t i = 0; i < self->column_count; i++) {
        const struct parquet_plan *plan = &planned->columns[i];
        self->columns[i] = (struct column){
            .plan = plan,
            .flat = plan->leaf != PARQUET_NO_LEAF && !weir_type_is_nested(plan->type->id),
            .early = read->filter && weir_bit_get(read->filter->needs, i)};
        own_leaves(self, plan, i);
    }
    return WEIR_OK;
}

static weir_status open_leaves(struct weir_parquet_cursor *self, struct weir_error *reterr)
{
    uint32_t count = self->file->meta.leaf_count;
    WEIR_TRY(weir_arena_zero(&self->arena, (size_t)count + 1, sizeof *self->leaves, &self->leaves,
                             reterr));
    for (uint32_t i = 0; i < count; i++) {
        if (!self->needed[i])
            continue;
        struct parquet_leaf_reader *leaf;
        WEIR_TRY(weir_arena_zero(&self->arena, 1, sizeof *leaf, &leaf, reterr));
        leaf->account = self->account;
        leaf->decompressor = self->kit->decompressor;
        leaf->counters = self->read->counters;
        leaf->read_ahead = READ_AHEAD;
        leaf->column = i;
        self->leaves[i] = leaf;
        WEIR_TRY(name_column(self, i,
                             parquet_leaf_open(leaf, self->file, self->group, i, self->targets[i],
                                               self->kit, reterr),
                             reterr));
        self->chunk_bytes += leaf->size;
    }
    return WEIR_OK;
}

/* Where pages are wanted here and there only, leaves find them by their offset index. */
static weir_status open_locations(struct weir_parquet_cursor *self, struct weir_error *reterr)
{
    uint64_t wanted = 0;
    for (size_t i = 0; i < self->range_count; i++)
        wanted += self->ranges[i].to - self->ranges[i].from;
    if (self->chunk_bytes < SPARSE_BYTES ||
        wanted > self->file->meta.groups[self->group].row_count / 2)
        return WEIR_OK;
    for (uint32_t i = 0; i < self->file->meta.leaf_count; i++) {
        struct parquet_leaf_reader *leaf = self->leaves[i];
        struct parquet_location *locations = NULL;
        if (!leaf || leaf->node->repeated)
            continue;
        WEIR_TRY(name_column(self, i,
                             parquet_locations_read(self->file, self->group, i, &self->arena,
                                                    &locations, &leaf->location_count, reterr),
                             reterr));
        if (leaf->location_count && locations[0].offset >= leaf->start) {
            leaf->locations = locations;
            leaf->read_ahead = SPARSE_AHEAD;
        }
    }
    return WEIR_OK;
}

static void skip_group(const struct weir_parquet_cursor *self)
{
    struct weir_scan_counters *counters = self->read->counters;
    const struct file_group *group = &self->file->meta.groups[self->group];
    if (!counters || self->piece.from)
        return;
    count_up(&counters->row_groups_skipped, 1);
    count_up(&counters->rows_skipped, group->row_count);
    for (uint32_t i = 0; i < self->file->meta.leaf_count; i++)
        if (self->needed[i])
            count_up(&counters->bytes_skipped, group->chunks[i].compressed_size);
}

/* ---- pool
 * ------------------------------------------------------------------------------------------------
 */

struct weir_parquet_pool {
    struct weir_account *account;
    pthread_mutex_t lock;
    struct parquet_kit *kits;
};

weir_status weir_parquet_pool_new(struct weir_account *account, struct weir_parquet_pool **ret_pool,
                                  struct weir_error *reterr)
{
    struct weir_parquet_pool *pool;
    WEIR_TRY(weir_alloc_zero(account, 1, sizeof *pool, &pool, reterr));
    pool->account = account;
    pthread_mutex_init(&pool->lock, NULL);
    *ret_pool = pool;
    return WEIR_OK;
}

void weir_parquet_pool_free(struct weir_parquet_pool *pool)
{
    if (!pool)
        return;
    while (pool->kits) {
        struct parquet_kit *kit = pool->kits;
        pool->kits = kit->next;
        parquet_kit_free(kit);
    }
    pthread_mutex_destroy(&pool->lock);
    weir_free(pool);
}

/* A kit with room for so many leaves; without a pool, a new one. */
static weir_status pool_take(struct weir_parquet_pool *pool, struct weir_account *account,
                             uint32_t leaf_count, struct parquet_kit **ret_kit,
                             struct weir_error *reterr)
{
    struct parquet_kit *kit = NULL;
    if (pool) {
        pthread_mutex_lock(&pool->lock);
        struct parquet_kit **at = &pool->kits;
        while (*at && (*at)->leaf_count < leaf_count)
            at = &(*at)->next;
        kit = *at;
        if (kit)
            *at = kit->next;
        pthread_mutex_unlock(&pool->lock);
    }
    if (!kit)
        return parquet_kit_new(pool ? pool->account : account, leaf_count, ret_kit, reterr);
    *ret_kit = kit;
    return WEIR_OK;
}

static void pool_give(struct weir_parquet_pool *pool, struct parquet_kit *kit)
{
    if (!pool || !kit) {
        parquet_kit_free(kit);
        return;
    }
    pthread_mutex_lock(&pool->lock);
    kit->next = pool->kits;
    pool->kits = kit;
    pthread_mutex_unlock(&pool->lock);
}

/* Leaves of the ranges what lies in the piece. */
static void clip_ranges(struct weir_parquet_cursor *self)
{
    const struct parquet_rows *piece = &self->piece;
    size_t count = 0;
    for (size_t i = 0; i < self->range_count; i++) {
        struct parquet_rows range = self->ranges[i];
        range.from = range.from < piece->from ? piece->from : range.from;
        range.to = range.to > piece->to ? piece->to : range.to;
        if (range.from < range.to)
            self->ranges[count++] = range;
    }
    self->range_count = count;
}

static weir_status cursor_start(struct weir_parquet_cursor *self, bool *ret_excluded,
                                struct weir_error *reterr)
{
    struct planned planned;
    uint64_t skipped;
    WEIR_TRY(plan_read(&self->arena, self->file, self->read, &planned, reterr));
    self->targets = planned.targets;
    self->needed = planned.needed;
    *ret_excluded = parquet_group_excluded(self->file, self->group, self->read, planned.columns);
    if (!*ret_excluded)
        WEIR_TRY(parquet_bloom_excluded(self->account, self->file, self->group, self->read,
                                        planned.columns, ret_excluded, reterr));
    if (*ret_excluded) {
        skip_group(self);
        return WEIR_OK;
    }
    WEIR_TRY(parquet_rows_wanted(self->file, self->group, self->read, planned.columns, &self->arena,
                                 &self->ranges, &self->range_count, &skipped, reterr));
    clip_ranges(self);
    *ret_excluded = self->range_count == 0;
    if (*ret_excluded) {
        skip_group(self);
        return WEIR_OK;
    }
    WEIR_TRY(open_columns(self, &planned, reterr));
    if (!self->kit) {
        WEIR_TRY(pool_take(self->read->pool, self->account, self->file->meta.leaf_count, &self->kit,
                           reterr));
        self->own_kit = true;
    }
    WEIR_TRY(open_leaves(self, reterr));
    WEIR_TRY(open_locations(self, reterr));
    if (self->read->counters && self->piece.from == 0)
        count_up(&self->read->counters->row_groups_read, 1);
    return WEIR_OK;
}

weir_status parquet_cursor_open(struct weir_account *account, const struct weir_parquet_file *file,
                                size_t group, struct parquet_rows piece,
                                const struct weir_parquet_read *read, struct parquet_kit *kit,
                                struct weir_parquet_cursor **ret_cursor, struct weir_error *reterr)
{
    struct weir_parquet_cursor *self;
    bool excluded = false;
    WEIR_TRY(weir_alloc_zero(account, 1, sizeof *self, &self, reterr));
    self->account = account;
    self->file = file;
    self->group = group;
    self->read = read;
    self->kit = kit;
    self->piece = piece;
    self->batch_rows = read->batch_rows ? read->batch_rows : WEIR_BATCH_ROWS;
    weir_arena_init(&self->arena, account);
    weir_status status = cursor_start(self, &excluded, reterr);
    if (status != WEIR_OK || excluded) {
        weir_parquet_cursor_free(self);
        self = NULL;
    }
    if (status == WEIR_OK)
        *ret_cursor = self;
    return status;
}

weir_status weir_parquet_cursor_open(struct weir_account *account,
                                     const struct weir_parquet_file *file, size_t group,
                                     const struct weir_parquet_read *read,
                                     struct weir_parquet_cursor **ret_cursor,
                                     struct weir_error *reterr)
{
    return parquet_cursor_open(account, file, group, (struct parquet_rows){0, UINT64_MAX}, read,
                               NULL, ret_cursor, reterr);
}

void parquet_cursor_batch(struct weir_parquet_cursor *cursor, uint32_t rows)
{
    cursor->batch_rows = rows ? rows : WEIR_BATCH_ROWS;
}

static void count_skipped(const struct weir_parquet_cursor *self,
                          const struct parquet_leaf_reader *leaf)
{
    if (self->read->counters && leaf->size > leaf->bytes_read)
        count_up(&self->read->counters->bytes_skipped, leaf->size - leaf->bytes_read);
}

void weir_parquet_cursor_free(struct weir_parquet_cursor *cursor)
{
    if (!cursor)
        return;
    for (uint32_t i = 0; cursor->leaves && i < cursor->file->meta.leaf_count; i++)
        if (cursor->leaves[i]) {
            count_skipped(cursor, cursor->leaves[i]);
            parquet_leaf_done(cursor->leaves[i], cursor->kit);
        }
    if (cursor->own_kit)
        pool_give(cursor->read->pool, cursor->kit);
    weir_arena_done(&cursor->arena);
    weir_free(cursor);
}

/* ---- fetching
 * ------------------------------------------------------------------------------------------------
 */

static int by_start(const void *a, const void *b)
{
    const struct parquet_leaf_reader *x = *(struct parquet_leaf_reader *const *)a,
                                     *y = *(struct parquet_leaf_reader *const *)b;
    return (x->start > y->start) - (x->start < y->start);
}

/* One read of [leaves[0]->start, end): all of them lie in it. */
static weir_status fetch_range(struct weir_parquet_cursor *self,
                               struct parquet_leaf_reader **leaves, size_t count, uint64_t end,
                               struct weir_error *reterr)
{
    struct weir_buffer *buffer = &self->kit->fetched[self->fetched_count++];
    uint64_t start = leaves[0]->start;
    weir_buffer_clear(buffer);
    WEIR_TRY(weir_buffer_reserve(buffer, end - start + PADDING, reterr));
    WEIR_TRY(parquet_read_exactly(&self->file->source, start, end - start, buffer, reterr));
    for (size_t i = 0; i < count; i++) {
        leaves[i]->window = buffer->data + (leaves[i]->start - start);
        leaves[i]->window_at = 0;
        leaves[i]->bytes_read = leaves[i]->size;
        leaves[i]->window_size = leaves[i]->size;
        if (self->read->counters)
            count_up(&self->read->counters->bytes_read, leaves[i]->size);
    }
    return WEIR_OK;
}

/* The chunks of one half of the columns, neighbours together. */
static weir_status fetch(struct weir_parquet_cursor *self, bool early, struct weir_error *reterr)
{
    uint32_t leaf_count = self->file->meta.leaf_count;
    struct parquet_leaf_reader **leaves;
    size_t count = 0;
    if (self->chunk_bytes > FETCH_MOST)
        return WEIR_OK;
    WEIR_TRY(
        weir_arena_zero(&self->arena, (size_t)leaf_count + 1, sizeof *leaves, &leaves, reterr));
    for (uint32_t i = 0; i < leaf_count; i++)
        if (self->leaves[i] && !self->leaves[i]->locations &&
            self->columns[self->leaf_columns[i]].early == early)
            leaves[count++] = self->leaves[i];
    qsort(leaves, count, sizeof *leaves, by_start);
    for (size_t from = 0, to; from < count; from = to) {
        uint64_t end = leaves[from]->start + leaves[from]->size;
        for (to = from + 1; to < count && leaves[to]->start <= end + FETCH_GAP; to++) {
            uint64_t further = leaves[to]->start + leaves[to]->size;
            if (further - leaves[from]->start > 2 * (uint64_t)FETCH_MOST)
                break;
            end = further > end ? further : end;
        }
        WEIR_TRY(fetch_range(self, leaves + from, to - from, end, reterr));
    }
    return WEIR_OK;
}

/* ---- columns
 * -------------------------------------------------------------------------------------------------
 */

static void skip_column(struct weir_parquet_cursor *self, uint32_t column, uint64_t rows)
{
    for (uint32_t i = 0; i < self->file->meta.leaf_count; i++)
        if (self->leaves[i] && self->leaf_columns[i] == column)
            self->leaves[i]->skip += rows;
}

static void compact_bits(uint8_t *bits, const struct weir_selection *selection)
{
    for (uint32_t i = 0; i < selection->count; i++) { /* in place: rows[i] >= i */
        bool bit = weir_bit_get(bits, selection->rows[i]);
        bits[i / 8] = (uint8_t)((bits[i / 8] & ~(1u << (i % 8))) | (unsigned)bit << (i % 8));
    }
}

#define COMPACT(width_type)                                                                        \
    for (uint32_t i = 0; i < selection->count; i++)                                                \
        ((width_type *)values)[i] = ((const width_type *)values)[rows[i]];

static void compact_values(void *values, uint32_t width, const struct weir_selection *selection)
{
    const uint32_t *rows = selection->rows;
    if (width == 4) {
        COMPACT(uint32_t)
    } else if (width == 8) {
        COMPACT(uint64_t)
    } else if (width == 16) {
        COMPACT(weir_int128)
    } else {
        for (uint32_t i = 0; i < selection->count; i++)
            memmove((uint8_t *)values + (size_t)i * width,
                    (const uint8_t *)values + (size_t)rows[i] * width, width);
    }
}

static void compact_strings(struct weir_vector *vector, const struct weir_selection *selection)
{
    uint8_t *bytes = vector->values;
    int32_t at = 0;
    for (uint32_t i = 0; i < selection->count; i++) {
        int32_t start = vector->offsets[selection->rows[i]],
                size = vector->offsets[selection->rows[i] + 1] - start;
        memmove(bytes + at, bytes + start, (size_t)size);
        at += size;
        vector->offsets[i] = at - size;
    }
    vector->offsets[selection->count] = at;
}

/* Only the selected rows of a vector that is the cursor's own, in place. */
static weir_status compact(struct weir_arena *arena, struct weir_vector *vector,
                           const struct weir_selection *selection, struct weir_error *reterr)
{
    if (weir_type_is_nested(vector->type->id)) {
        struct weir_vector all = *vector;
        return weir_vector_gather(arena, &all, selection, vector, reterr);
    }
    if (vector->kind == WEIR_CONSTANT) {
        vector->count = selection->count;
        vector->null_count = vector->null_count ? selection->count : 0;
        return WEIR_OK;
    }
    if (vector->validity) {
        compact_bits(vector->validity, selection);
        vector->null_count = selection->count -
                             (uint32_t)weir_bits_count(vector->validity, selection->count);
        if (vector->null_count == 0)
            vector->validity = NULL;
    }
    if (vector->kind == WEIR_DICTIONARY)
        compact_values(vector->indices, 4, selection);
    else if (vector->type->id == WEIR_BOOLEAN)
        compact_bits(vector->values, selection);
    else if (vector->offsets)
        compact_strings(vector, selection);
    else
        compact_values(vector->values, weir_type_width(vector->type), selection);
    vector->count = selection->count;
    return WEIR_OK;
}

/* Selected rows far from each other: each run of neighbours by itself. */
static weir_status append_runs(struct parquet_leaf_reader *leaf, struct parquet_output *output,
                               uint32_t rows, const struct weir_selection *selection)
{
    uint32_t at = 0;
    for (uint32_t i = 0, run; i < selection->count; i += run) {
        uint32_t first = selection->rows[i];
        for (run = 1; i + run < selection->count && selection->rows[i + run] == first + run;)
            run++;
        leaf->skip += first - at;
        WEIR_TRY(parquet_leaf_append(leaf, output, run));
        at = first + run;
    }
    leaf->skip += rows - at;
    return WEIR_OK;
}

static weir_status read_flat(struct weir_parquet_cursor *self, struct weir_arena *arena,
                             const struct parquet_plan *plan, uint32_t rows,
                             const struct weir_selection *selection, struct weir_vector *vector,
                             struct weir_error *reterr)
{
    struct parquet_leaf_reader *leaf = self->leaves[plan->leaf];
    struct parquet_output output;
    leaf->reterr = reterr;
    bool sparse = selection && (uint64_t)selection->count * SPARSE_SHARE < rows;
    WEIR_TRY(parquet_output_open(&output, arena, leaf, sparse ? selection->count : rows, vector,
                                 reterr));
    if (sparse)
        WEIR_TRY(append_runs(leaf, &output, rows, selection));
    else
        WEIR_TRY(parquet_leaf_append(leaf, &output, rows));
    WEIR_TRY(parquet_output_close(leaf, &output, false));
    return selection && !sparse ? compact(arena, vector, selection, reterr) : WEIR_OK;
}

static weir_status take_leaves(struct weir_parquet_cursor *self, struct weir_arena *arena,
                               uint32_t column, uint32_t rows, struct parquet_taken *taken,
                               struct weir_error *reterr)
{
    for (uint32_t i = 0; i < self->file->meta.leaf_count; i++) {
        if (!self->leaves[i] || self->leaf_columns[i] != column)
            continue;
        self->leaves[i]->reterr = reterr;
        WEIR_TRY(name_column(self, i, parquet_leaf_take(self->leaves[i], arena, rows, &taken[i]),
                             reterr));
    }
    return WEIR_OK;
}

static weir_status read_positions(struct weir_parquet_cursor *self, struct weir_arena *arena,
                                  uint32_t rows, const struct weir_selection *selection,
                                  struct weir_vector *vector, struct weir_error *reterr)
{
    uint32_t count = selection ? selection->count : rows;
    int64_t first = (int64_t)(self->file->meta.groups[self->group].first_row + self->row), *values;
    WEIR_TRY(weir_arena_alloc(arena, (size_t)count * 8 + PADDING, &values, reterr));
    for (uint32_t i = 0; i < count; i++)
        values[i] = first + (selection ? selection->rows[i] : i);
    *vector = (struct weir_vector){.type = vector->type, .count = count, .values = values};
    return WEIR_OK;
}

/* One column of rows [self->row, + rows), of which only the selected ones (NULL: all) come out. */
static weir_status read_column(struct weir_parquet_cursor *self, struct weir_arena *arena,
                               uint32_t at, uint32_t rows, const struct weir_selection *selection,
                               struct weir_vector *vector, struct weir_error *reterr)
{
    const struct column *column = &self->columns[at];
    const struct parquet_plan *plan = column->plan;
    uint32_t count = selection ? selection->count : rows;
    if (plan->position) {
        vector->type = plan->type;
        return read_positions(self, arena, rows, selection, vector, reterr);
    }
    if (plan->leaf == PARQUET_NO_LEAF)
        return parquet_nulls(arena, plan->type, count, vector, reterr);
    if (column->flat)
        return name_column(self, plan->leaf,
                           read_flat(self, arena, plan, rows, selection, vector, reterr), reterr);
    struct parquet_taken *taken;
    WEIR_TRY(weir_arena_zero(arena, (size_t)self->file->meta.leaf_count + 1, sizeof *taken, &taken,
                             reterr));
    WEIR_TRY(take_leaves(self, arena, at, rows, taken, reterr));
    WEIR_TRY(name_column(self, plan->leaf,
                         parquet_assemble(arena, plan, taken, rows, vector, reterr), reterr));
    return selection ? compact(arena, vector, selection, reterr) : WEIR_OK;
}

/* ---- rows
 * ---------------------------------------------------------------------------------------------------
 */

/* Which of the next rows are there at all. *ret_some NULL-like (rows NULL) when all are. */
static weir_status kept_rows(struct weir_parquet_cursor *self, struct weir_arena *arena,
                             uint32_t rows, bool *ret_all, struct weir_selection *ret_kept,
                             struct weir_error *reterr)
{
    const struct weir_row_filter *filter = self->read->rows;
    uint8_t *bits;
    uint32_t *kept;
    *ret_all = true;
    if (!filter)
        return WEIR_OK;
    size_t size = ((size_t)rows + 511) / 512 * 64 + PADDING;
    WEIR_TRY(weir_arena_alloc(arena, size, &bits, reterr));
    memset(bits, 0xff, size);
    filter->keep(filter->self, self->file->meta.groups[self->group].first_row + self->row, rows,
                 bits);
    size_t count = weir_bits_count(bits, rows);
    if (count == rows)
        return WEIR_OK;
    *ret_all = false;
    WEIR_TRY(weir_arena_alloc(arena, (count + 1) * 4 + PADDING, &kept, reterr));
    uint32_t at = 0;
    for (uint32_t i = 0; i < rows; i++) {
        kept[at] = i;
        at += weir_bit_get(bits, i);
    }
    *ret_kept = (struct weir_selection){(uint32_t)count, kept};
    return WEIR_OK;
}

/* Reads the columns of one half. */
static weir_status read_columns(struct weir_parquet_cursor *self, struct weir_arena *arena,
                                bool early, uint32_t rows, const struct weir_selection *selection,
                                struct weir_batch *batch, struct weir_error *reterr)
{
    for (uint32_t i = 0; i < self->column_count; i++)
        if (self->columns[i].early == early)
            WEIR_TRY(read_column(self, arena, i, rows, selection, &batch->columns[i], reterr));
    return WEIR_OK;
}

static void skip_columns(struct weir_parquet_cursor *self, bool early, uint64_t rows)
{
    for (uint32_t i = 0; i < self->column_count; i++)
        if (self->columns[i].early == early)
            skip_column(self, i, rows);
}

/* Runs the filter over its columns: what it selects, of the rows that are there. */
static weir_status run_filter(struct weir_parquet_cursor *self, struct weir_arena *arena,
                              uint32_t rows, const struct weir_selection *kept,
                              struct weir_batch *batch, struct weir_selection *ret_selection,
                              struct weir_error *reterr)
{
    const struct weir_scan_filter *filter = self->read->filter;
    struct weir_selection selected;
    for (uint32_t i = 0; i < self->column_count; i++)
        if (!self->columns[i].early)
            batch->columns[i] = (struct weir_vector){.type = &self->read->wanted->children[i].type,
                                                     .count = rows};
    WEIR_TRY(read_columns(self, arena, true, rows, kept, batch, reterr));
    batch->count = kept ? kept->count : rows;
    for (uint32_t i = 0; i < self->column_count; i++)
        batch->columns[i].count = batch->count;
    WEIR_TRY(filter->select(filter->self, batch, arena, &selected, reterr));
    if (selected.count < batch->count)
        for (uint32_t i = 0; i < self->column_count; i++)
            if (self->columns[i].early)
                WEIR_TRY(compact(arena, &batch->columns[i], &selected, reterr));
    uint32_t *both;
    WEIR_TRY(weir_arena_alloc(arena, (size_t)selected.count * 4 + PADDING, &both, reterr));
    for (uint32_t i = 0; i < selected.count; i++) {
        uint32_t row = selected.rows ? selected.rows[i] : i;
        both[i] = kept ? kept->rows[row] : row;
    }
    *ret_selection = (struct weir_selection){selected.count, both};
    return WEIR_OK;
}

static weir_status fetch_late(struct weir_parquet_cursor *self, struct weir_error *reterr)
{
    if (self->late_fetched)
        return WEIR_OK;
    self->late_fetched = true;
    return fetch(self, false, reterr);
}

/* The next `rows` rows; batch->count 0: none of them is wanted. */
static weir_status read_rows(struct weir_parquet_cursor *self, struct weir_arena *arena,
                             uint32_t rows, struct weir_batch *batch, struct weir_error *reterr)
{
    struct weir_selection selection = {0}, *chosen = NULL;
    bool all;
    batch->count = 0;
    WEIR_TRY(kept_rows(self, arena, rows, &all, &selection, reterr));
    if (!all)
        chosen = &selection;
    if (chosen && chosen->count == 0) {
        skip_columns(self, true, rows);
        skip_columns(self, false, rows);
        return WEIR_OK;
    }
    if (self->read->filter) {
        WEIR_TRY(run_filter(self, arena, rows, chosen, batch, &selection, reterr));
        chosen = selection.count == rows ? NULL : &selection;
    }
    batch->count = chosen ? chosen->count : rows;
    if (batch->count == 0) {
        skip_columns(self, false, rows);
        return WEIR_OK;
    }
    WEIR_TRY(fetch_late(self, reterr));
    return read_columns(self, arena, false, rows, chosen, batch, reterr);
}

/* Comes to the next range of rows with something left; false at the end. */
static bool next_range(struct weir_parquet_cursor *self, uint64_t *ret_left)
{
    while (self->range_at < self->range_count) {
        const struct parquet_rows *range = &self->ranges[self->range_at];
        if (self->row < range->from) {
            uint64_t gap = range->from - self->row;
            skip_columns(self, true, gap);
            skip_columns(self, false, gap);
            if (self->read->counters && self->row >= self->piece.from)
                count_up(&self->read->counters->rows_skipped, gap);
            self->row = range->from;
        }
        *ret_left = range->to - self->row;
        if (*ret_left)
            return true;
        self->range_at++;
    }
    return false;
}

weir_status weir_parquet_cursor_next(struct weir_parquet_cursor *cursor, struct weir_arena *arena,
                                     struct weir_batch *ret_batch, bool *ret_end,
                                     struct weir_error *reterr)
{
    struct weir_batch batch = {.type = cursor->read->wanted};
    uint64_t left;
    WEIR_TRY(weir_arena_zero(arena, (size_t)cursor->column_count + 1, sizeof *batch.columns,
                             &batch.columns, reterr));
    if (cursor->row == 0 && cursor->read->filter && !cursor->early_fetched)
        WEIR_TRY(fetch(cursor, true, reterr));
    cursor->early_fetched = true;
    while (next_range(cursor, &left)) {
        uint32_t rows = left < cursor->batch_rows ? (uint32_t)left : cursor->batch_rows;
        WEIR_TRY(read_rows(cursor, arena, rows, &batch, reterr));
        cursor->row += rows;
        if (cursor->read->counters)
            count_up(&cursor->read->counters->rows_read, rows);
        if (batch.count == 0)
            continue;
        *ret_batch = batch;
        *ret_end = false;
        return WEIR_OK;
    }
    WEIR_TRY(weir_batch_make(arena, batch.type, 0, ret_batch, reterr));
    *ret_end = true;
    return WEIR_OK;
}
