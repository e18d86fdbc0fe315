/* Rows kept in order of morsels: LIMIT, subplans that are read more than once, and the plan's
 * result on its way out. Kept as rows of bytes; those of SHARED go to a file when memory is short.
 */
#include "engine/exec/driver_int.h"

#include <pthread.h>
#include <string.h>

/* The rows of one morsel. */
struct kept {
    size_t morsel;
    struct weir_row_store store;
    uint64_t row_count;
    uint64_t file_offset; /* of its bytes, if they are in the file */
    uint64_t file_size;
    bool in_file;
    bool whole;
};

struct buffer_sink {
    struct exec_sink sink;
    const struct weir_type *type; /* of its rows */
    struct weir_row_layout layout;
    struct weir_arena arena;
    pthread_mutex_t lock;
    struct kept **kept; /* by morsel; NULL = not begun */
    size_t kept_capacity;
    size_t prefix;        /* morsels [0, prefix) are whole */
    uint64_t prefix_rows; /* rows in them */
    uint64_t wanted;      /* LIMIT: limit + offset; else UINT64_MAX */
    struct weir_spill_file *file;
    const struct weir_result_sink *result; /* the plan's end */
};

static weir_status append(struct buffer_sink *sink, struct weir_row_store *store,
                          const struct weir_batch *batch, uint32_t count, struct weir_error *reterr)
{
    WEIR_AUTO(weir_arena) arena;
    uint32_t *sizes;
    uint8_t **places;
    weir_arena_init(&arena, sink->sink.exec->account);
    WEIR_TRY(weir_arena_alloc(&arena, (count + 1) * sizeof *sizes, &sizes, reterr));
    WEIR_TRY(weir_arena_alloc(&arena, (count + 1) * sizeof *places, &places, reterr));
    WEIR_TRY(weir_rows_size(&sink->layout, batch->columns, NULL, count, sizes, reterr));
    for (uint32_t i = 0; i < count; i++)
        WEIR_TRY(weir_row_store_add(store, sizes[i], &places[i], reterr));
    weir_rows_write(&sink->layout, batch->columns, NULL, count, places);
    return WEIR_OK;
}

static weir_status read_places(const struct buffer_sink *sink, uint8_t *const *places,
                               uint32_t count, struct weir_arena *arena,
                               struct weir_batch *ret_batch, struct weir_error *reterr)
{
    struct weir_vector *columns;
    WEIR_TRY(weir_arena_zero(arena, sink->layout.count + 1, sizeof *columns, &columns, reterr));
    for (uint32_t i = 0; i < sink->layout.count; i++)
        WEIR_TRY(weir_rows_read(&sink->layout, i, places, count, arena, &columns[i], reterr));
    *ret_batch = (struct weir_batch){.type = sink->type, .count = count, .columns = columns};
    return WEIR_OK;
}

/* ---- the sink ---- */

static weir_status buffer_begin(struct exec_sink *opaque, size_t morsel, void **ret_local,
                                struct weir_error *reterr)
{
    struct buffer_sink *sink = (struct buffer_sink *)opaque;
    struct kept *kept;
    weir_status status = WEIR_OK;
    WEIR_TRY(weir_alloc_zero(opaque->exec->account, 1, sizeof *kept, &kept, reterr));
    kept->morsel = morsel;
    weir_row_store_init(&kept->store, opaque->exec->account);
    pthread_mutex_lock(&sink->lock);
    if (morsel >= sink->kept_capacity) {
        size_t capacity = (morsel + 16) * 2;
        status = weir_realloc(&sink->kept, opaque->exec->account, capacity * sizeof *sink->kept,
                              reterr);
        if (status == WEIR_OK) {
            memset(sink->kept + sink->kept_capacity, 0,
                   (capacity - sink->kept_capacity) * sizeof *sink->kept);
            sink->kept_capacity = capacity;
        }
    }
    if (status == WEIR_OK)
        sink->kept[morsel] = kept;
    pthread_mutex_unlock(&sink->lock);
    if (status == WEIR_OK)
        *ret_local = kept;
    else
        weir_free(kept);
    return status;
}

/* Bytes of the morsel's rows to the end of the file; the store is emptied. */
static weir_status to_file(struct buffer_sink *sink, struct kept *kept, struct weir_error *reterr)
{
    struct weir_row_cursor cursor = {0};
    const uint8_t *row;
    if (!sink->file)
        WEIR_TRY(weir_spill_file_new(sink->sink.exec->options->spill, &sink->file, reterr));
    kept->file_offset = weir_spill_size(sink->file);
    while ((row = weir_row_store_next(&kept->store, &sink->layout, &cursor))) {
        uint32_t size = weir_row_size(&sink->layout, row);
        WEIR_TRY(weir_spill_write(sink->file, &size, sizeof size, reterr));
        WEIR_TRY(weir_spill_write(sink->file, row, size, reterr));
    }
    kept->file_size = weir_spill_size(sink->file) - kept->file_offset;
    kept->in_file = true;
    weir_row_store_done(&kept->store);
    weir_row_store_init(&kept->store, sink->sink.exec->account);
    return WEIR_OK;
}

static weir_status buffer_batch(struct exec_sink *opaque, void *local,
                                const struct weir_batch *batch, struct weir_error *reterr)
{
    struct buffer_sink *sink = (struct buffer_sink *)opaque;
    struct kept *kept = local;
    uint32_t count = batch->count;
    if (kept->row_count >= sink->wanted)
        return WEIR_OK;
    if (count > sink->wanted - kept->row_count)
        count = (uint32_t)(sink->wanted - kept->row_count);
    WEIR_TRY(append(sink, &kept->store, batch, count, reterr));
    kept->row_count += count;
    return WEIR_OK;
}

static weir_status buffer_end(struct exec_sink *opaque, void *local, struct weir_error *reterr)
{
    struct buffer_sink *sink = (struct buffer_sink *)opaque;
    struct kept *kept = local;
    weir_status status = WEIR_OK;
    pthread_mutex_lock(&sink->lock);
    kept->whole = true;
    while (sink->prefix < sink->kept_capacity && sink->kept[sink->prefix] &&
           sink->kept[sink->prefix]->whole)
        sink->prefix_rows += sink->kept[sink->prefix++]->row_count;
    if (sink->prefix_rows >= sink->wanted)
        atomic_store(&opaque->exec->enough, true);
    if (exec_should_spill(opaque->exec) && kept->row_count)
        status = to_file(sink, kept, reterr);
    pthread_mutex_unlock(&sink->lock);
    return status;
}

static void buffer_abandon(struct exec_sink *opaque, void *local)
{
    (void)opaque; /* what it kept is freed with the sink */
    (void)local;
}

static void buffer_free(struct exec_sink *opaque)
{
    struct buffer_sink *sink = (struct buffer_sink *)opaque;
    if (!sink)
        return;
    for (size_t i = 0; i < sink->kept_capacity; i++)
        if (sink->kept[i]) {
            weir_row_store_done(&sink->kept[i]->store);
            weir_free(sink->kept[i]);
        }
    weir_free(sink->kept);
    weir_spill_file_free(sink->file);
    weir_arena_done(&sink->arena);
    pthread_mutex_destroy(&sink->lock);
    weir_free(sink);
}

/* ---- as a source ---- */

struct part {
    struct kept *kept;
    uint64_t skip, take;
};

struct buffer_source {
    struct exec_source source;
    struct buffer_sink *sink;
    struct part *parts;
    size_t part_count;
};

struct buffer_reader {
    struct buffer_source *source;
    struct part part;
    struct weir_row_cursor cursor;
    uint64_t at;      /* rows passed */
    uint64_t file_at; /* bytes of the file passed */
};

static size_t buffer_morsels(const struct exec_source *source)
{
    return ((const struct buffer_source *)source)->part_count;
}

static weir_status buffer_open(struct exec_source *source, size_t morsel,
                               struct exec_reader **ret_reader, struct weir_error *reterr)
{
    struct buffer_reader *reader;
    WEIR_TRY(weir_alloc_zero(source->exec->account, 1, sizeof *reader, &reader, reterr));
    reader->source = (struct buffer_source *)source;
    reader->part = reader->source->parts[morsel];
    *ret_reader = (struct exec_reader *)reader;
    return WEIR_OK;
}

static weir_status next_row(struct buffer_reader *reader, struct weir_arena *arena,
                            uint8_t **ret_row, struct weir_error *reterr)
{
    struct buffer_sink *sink = reader->source->sink;
    struct kept *kept = reader->part.kept;
    uint32_t size;
    if (!kept->in_file) {
        *ret_row = weir_row_store_next(&kept->store, &sink->layout, &reader->cursor);
        return WEIR_OK;
    }
    uint64_t at = kept->file_offset + reader->file_at;
    WEIR_TRY(weir_spill_read(sink->file, at, &size, sizeof size, reterr));
    WEIR_TRY(weir_arena_alloc(arena, size, ret_row, reterr));
    reader->file_at += sizeof size + size;
    return weir_spill_read(sink->file, at + sizeof size, *ret_row, size, reterr);
}

static weir_status buffer_next(struct exec_reader *opaque, struct weir_arena *arena,
                               struct weir_batch *ret_batch, struct weir_error *reterr)
{
    struct buffer_reader *reader = (struct buffer_reader *)opaque;
    uint32_t rows = reader->source->source.exec->batch_rows, count = 0;
    uint64_t end = reader->part.skip + reader->part.take;
    uint8_t **places, *row;
    WEIR_TRY(weir_arena_alloc(arena, (rows + 1) * sizeof *places, &places, reterr));
    while (count < rows && reader->at < end) {
        WEIR_TRY(next_row(reader, arena, &row, reterr));
        if (reader->at++ >= reader->part.skip)
            places[count++] = row;
    }
    if (count == 0)
        return WEIR_OK;
    return read_places(reader->source->sink, places, count, arena, ret_batch, reterr);
}

static void buffer_close(struct exec_reader *reader)
{
    weir_free(reader);
}

static void buffer_source_free(struct exec_source *source)
{
    weir_free(source);
}

static const struct exec_source_operations source_operations = {.morsel_count = buffer_morsels,
                                                                .open = buffer_open,
                                                                .next = buffer_next,
                                                                .close = buffer_close,
                                                                .free = buffer_source_free};

/* Which rows of which morsel: all, or those between offset and limit + offset. */
static weir_status buffer_finish(struct exec_sink *opaque, struct exec_source **ret_source,
                                 struct weir_error *reterr)
{
    struct buffer_sink *sink = (struct buffer_sink *)opaque;
    const struct weir_operator *operator= opaque->operator;
    bool limited = operator->kind == WEIR_OP_LIMIT;
    uint64_t skip = limited                         ? (uint64_t) operator->offset : 0,
             take = limited && operator->limit >= 0 ? (uint64_t) operator->limit : UINT64_MAX;
    struct buffer_source *source;
    struct part *parts;
    WEIR_TRY(weir_arena_zero(&sink->arena, sink->kept_capacity + 1, sizeof *parts, &parts, reterr));
    if (sink->file)
        WEIR_TRY(weir_spill_finish(sink->file, reterr));
    WEIR_TRY(weir_alloc_zero(opaque->exec->account, 1, sizeof *source, &source, reterr));
    source->source = (struct exec_source){
        .operations = &source_operations, .exec = opaque->exec, .operator= opaque->operator};
    source->sink = sink;
    source->parts = parts;
    for (size_t i = 0; i < sink->kept_capacity && take; i++) {
        struct kept *kept = sink->kept[i];
        uint64_t rows = kept ? kept->row_count : 0, dropped = rows < skip ? rows : skip;
        skip -= dropped;
        rows -= dropped;
        rows = rows < take ? rows : take;
        if (take != UINT64_MAX)
            take -= rows;
        if (rows)
            parts[source->part_count++] = (struct part){kept, dropped, rows};
    }
    *ret_source = &source->source;
    return WEIR_OK;
}

static const struct exec_sink_operations buffer_operations = {.begin = buffer_begin,
                                                              .batch = buffer_batch,
                                                              .end = buffer_end,
                                                              .abandon = buffer_abandon,
                                                              .finish = buffer_finish,
                                                              .free = buffer_free};

static weir_status sink_new(struct exec *exec, struct weir_operator *operator,
                            const struct weir_type * type,
                            const struct exec_sink_operations *operations,
                            struct buffer_sink **ret_sink, struct weir_error *reterr)
{
    struct buffer_sink *sink;
    struct weir_type *types;
    weir_status status;
    WEIR_TRY(weir_alloc_zero(exec->account, 1, sizeof *sink, &sink, reterr));
    sink->sink = (struct exec_sink){.operations = operations, .exec = exec, .operator= operator};
    sink->wanted = UINT64_MAX;
    sink->type = type;
    weir_arena_init(&sink->arena, exec->account);
    pthread_mutex_init(&sink->lock, NULL);
    WEIR_TRY_OUT(status, weir_arena_zero(&sink->arena, type->child_count + 1, sizeof *types, &types,
                                         reterr));
    for (uint32_t i = 0; i < type->child_count; i++)
        types[i] = type->children[i].type;
    WEIR_TRY_OUT(status, weir_row_layout_init(&sink->arena, types, type->child_count, 0, false,
                                              &sink->layout, reterr));
    *ret_sink = sink;
    return WEIR_OK;
out:
    buffer_free(&sink->sink);
    return status;
}

weir_status exec_buffer_new(struct exec *exec, struct weir_operator *operator,
                            struct exec_sink ** ret_sink, struct weir_error *reterr)
{
    struct buffer_sink *sink;
    WEIR_TRY(sink_new(exec, operator, & operator->type, &buffer_operations, &sink, reterr));
    if (operator->kind == WEIR_OP_LIMIT && operator->limit >= 0)
        sink->wanted = (uint64_t) operator->limit +(uint64_t) operator->offset;
    *ret_sink = &sink->sink;
    return WEIR_OK;
}

/* ---- the result ---- */

/* Hands out what morsel `prefix` and those after it, as far as whole, have kept. Under the lock. */
static weir_status hand_out(struct buffer_sink *sink, struct kept *kept, struct weir_error *reterr)
{
    struct weir_row_cursor cursor = {0};
    WEIR_AUTO(weir_arena) arena;
    uint8_t **places, *row = NULL;
    uint32_t rows = sink->sink.exec->batch_rows, count;
    weir_arena_init(&arena, sink->sink.exec->account);
    do {
        weir_arena_reset(&arena);
        WEIR_TRY(weir_arena_alloc(&arena, (rows + 1) * sizeof *places, &places, reterr));
        for (count = 0; count < rows; count++) {
            row = weir_row_store_next(&kept->store, &sink->layout, &cursor);
            if (!row)
                break;
            places[count] = row;
        }
        if (count) {
            struct weir_batch batch;
            WEIR_TRY(read_places(sink, places, count, &arena, &batch, reterr));
            WEIR_TRY(sink->result->batch(sink->result->self, &batch, reterr));
        }
    } while (row);
    weir_row_store_done(&kept->store);
    weir_row_store_init(&kept->store, sink->sink.exec->account);
    return WEIR_OK;
}

/* The morsel whose turn it is goes straight through; the others wait as rows. */
static weir_status result_batch(struct exec_sink *opaque, void *local,
                                const struct weir_batch *batch, struct weir_error *reterr)
{
    struct buffer_sink *sink = (struct buffer_sink *)opaque;
    struct kept *kept = local;
    weir_status status = WEIR_OK;
    pthread_mutex_lock(&sink->lock);
    bool turn = sink->prefix == kept->morsel;
    if (turn && kept->row_count) {
        status = hand_out(sink, kept, reterr);
        kept->row_count = 0;
    }
    if (turn && status == WEIR_OK)
        status = sink->result->batch(sink->result->self, batch, reterr);
    pthread_mutex_unlock(&sink->lock);
    if (turn || status != WEIR_OK)
        return status;
    kept->row_count += batch->count;
    return append(sink, &kept->store, batch, batch->count, reterr);
}

static weir_status result_end(struct exec_sink *opaque, void *local, struct weir_error *reterr)
{
    struct buffer_sink *sink = (struct buffer_sink *)opaque;
    struct kept *kept = local;
    weir_status status = WEIR_OK;
    pthread_mutex_lock(&sink->lock);
    kept->whole = true;
    while (status == WEIR_OK && sink->prefix < sink->kept_capacity && sink->kept[sink->prefix] &&
           sink->kept[sink->prefix]->whole)
        status = hand_out(sink, sink->kept[sink->prefix++], reterr);
    pthread_mutex_unlock(&sink->lock);
    return status;
}

static weir_status result_finish(struct exec_sink *opaque, struct exec_source **ret_source,
                                 struct weir_error *reterr)
{
    (void)opaque;
    (void)ret_source;
    (void)reterr;
    return WEIR_OK;
}

static const struct exec_sink_operations result_operations = {.begin = buffer_begin,
                                                              .batch = result_batch,
                                                              .end = result_end,
                                                              .abandon = buffer_abandon,
                                                              .finish = result_finish,
                                                              .free = buffer_free};

weir_status exec_result_new(struct exec *exec, struct weir_operator *root,
                            const struct weir_result_sink *result, struct exec_sink **ret_sink,
                            struct weir_error *reterr)
{
    struct buffer_sink *sink;
    WEIR_TRY(sink_new(exec, NULL, &root->type, &result_operations, &sink, reterr));
    sink->result = result;
    *ret_sink = &sink->sink;
    return WEIR_OK;
}
