/* The writer's life: rows in, row groups out, indexes and footer at the end. */
#include "formats/parquet/parquet_int.h"

#include <string.h>

/* Rows shredded at a time: bounds scratch memory when somebody hands in a large batch. */
#define SHRED_ROWS 4096

struct weir_parquet_writer {
    struct weir_context *context;
    struct weir_account *account;
    const struct weir_type *schema;
    struct weir_parquet_options options;
    struct weir_parquet_sink sink;
    struct weir_arena arena; /* leaves, row groups, results */
    struct weir_arena flat; /* of one add: rows gathered from selections, constants, dictionaries */
    struct weir_arena scratch; /* of one shredding */
    struct parquet_leaf *leaves;
    uint32_t leaf_count;
    struct parquet_column *columns;
    struct parquet_slots *slots;
    uint64_t row_group_bits, buffered_bits, buffered_rows, written, row_count;
    struct parquet_row_group *groups;
    size_t group_count, group_capacity;
    bool finished;
    bool failed; /* a failure may leave columns of different lengths behind: nothing but free works
                    then */
};

static bool id_listed(const int32_t *ids, size_t count, int32_t id)
{
    for (size_t i = 0; i < count; i++)
        if (ids[i] == id)
            return true;
    return false;
}

static weir_status writer_send(struct weir_parquet_writer *self, const void *data, size_t size,
                               struct weir_error *reterr)
{
    if (size)
        WEIR_TRY(self->sink.write(self->sink.self, data, size, reterr));
    self->written += size;
    return WEIR_OK;
}

static weir_status writer_open(struct weir_parquet_writer *self, struct weir_error *reterr)
{
    const struct weir_parquet_options *options = &self->options;
    WEIR_TRY(
        parquet_leaves_make(&self->arena, self->schema, &self->leaves, &self->leaf_count, reterr));
    WEIR_TRY(weir_arena_zero(&self->arena, self->leaf_count, sizeof *self->columns, &self->columns,
                             reterr));
    WEIR_TRY(
        weir_arena_zero(&self->arena, self->leaf_count, sizeof *self->slots, &self->slots, reterr));
    for (uint32_t i = 0; i < self->leaf_count; i++) {
        struct parquet_leaf *leaf = &self->leaves[i];
        /* The hash of a boolean tells nothing that its bounds do not. */
        leaf->bloom = leaf->physical != PARQUET_BOOLEAN &&
                      id_listed(options->bloom_ids, options->bloom_count, leaf->field_id);
        leaf->no_bounds = id_listed(options->no_bounds_ids, options->no_bounds_count,
                                    leaf->field_id);
        self->columns[i] = (struct parquet_column){.leaf = leaf, .account = self->account};
    }
    /* A codec or level that is wrong shows now, not after a row group. */
    struct weir_compressor *probe;
    WEIR_TRY(
        weir_compressor_new(self->account, options->codec, options->codec_level, &probe, reterr));
    weir_compressor_free(probe);
    return WEIR_OK;
}

weir_status weir_parquet_writer_new(struct weir_context *context, struct weir_account *account,
                                    const struct weir_type *schema,
                                    const struct weir_parquet_options *options,
                                    struct weir_parquet_sink sink,
                                    struct weir_parquet_writer **ret_writer,
                                    struct weir_error *reterr)
{
    struct weir_parquet_writer *self;
    WEIR_TRY(weir_alloc_zero(account, 1, sizeof *self, &self, reterr));
    self->context = context;
    self->account = account;
    self->schema = schema;
    self->options = *options;
    self->sink = sink;
    self->row_group_bits = 8 * (options->row_group_size ? options->row_group_size
                                                        : PARQUET_ROW_GROUP_DEFAULT);
    weir_arena_init(&self->arena, account);
    weir_arena_init(&self->flat, account);
    weir_arena_init(&self->scratch, account);
    weir_status status = writer_open(self, reterr);
    if (status != WEIR_OK)
        weir_parquet_writer_free(self);
    else
        *ret_writer = self;
    return status;
}

void weir_parquet_writer_free(struct weir_parquet_writer *writer)
{
    if (!writer)
        return;
    for (uint32_t i = 0; writer->columns && i < writer->leaf_count; i++)
        parquet_column_clear(&writer->columns[i]);
    for (size_t g = 0; g < writer->group_count; g++)
        for (uint32_t i = 0; i < writer->leaf_count; i++)
            parquet_chunk_done(&writer->groups[g].chunks[i]);
    weir_free(writer->groups);
    weir_arena_done(&writer->arena);
    weir_arena_done(&writer->flat);
    weir_arena_done(&writer->scratch);
    weir_free(writer);
}

uint64_t weir_parquet_writer_buffered(const struct weir_parquet_writer *writer)
{
    return (writer->buffered_bits + 7) / 8;
}
uint64_t weir_parquet_writer_written(const struct weir_parquet_writer *writer)
{
    return writer->written;
}

/* ---- row groups
 * ------------------------------------------------------------------------------------------------
 */

struct encode_job {
    struct weir_parquet_writer *writer;
    struct parquet_row_group *group;
};

static weir_status encode_column(void *argument, size_t index, struct weir_error *reterr)
{
    struct encode_job *job = argument;
    struct weir_parquet_writer *self = job->writer;
    return parquet_chunk_encode(&self->columns[index], &self->options, self->account,
                                &job->group->chunks[index], reterr);
}

static weir_status writer_flush(struct weir_parquet_writer *self, struct weir_error *reterr)
{
    if (self->buffered_rows == 0)
        return WEIR_OK;
    if (self->written == 0)
        WEIR_TRY(writer_send(self, PARQUET_MAGIC, 4, reterr));
    if (self->group_count == self->group_capacity) {
        size_t capacity = self->group_capacity ? self->group_capacity * 2 : 8;
        WEIR_TRY(
            weir_realloc(&self->groups, self->account, capacity * sizeof *self->groups, reterr));
        self->group_capacity = capacity;
    }
    struct parquet_row_group *group = &self->groups[self->group_count];
    *group = (struct parquet_row_group){.row_count = self->buffered_rows,
                                        .file_offset = self->written};
    WEIR_TRY(weir_arena_zero(&self->arena, self->leaf_count, sizeof *group->chunks, &group->chunks,
                             reterr));
    self->group_count++;
    struct encode_job job = {self, group};
    WEIR_TRY(weir_parallel(self->context, self->leaf_count, encode_column, &job, reterr));
    for (uint32_t i = 0; i < self->leaf_count; i++) {
        struct parquet_chunk *chunk = &group->chunks[i];
        chunk->file_offset = self->written;
        WEIR_TRY(writer_send(self, chunk->bytes.data, chunk->bytes.size, reterr));
        weir_buffer_done(&chunk->bytes);
    }
    self->row_count += self->buffered_rows;
    self->buffered_rows = 0;
    self->buffered_bits = 0;
    return WEIR_OK;
}

/* ---- rows
 * ------------------------------------------------------------------------------------------------------
 */

static bool vector_is_flat(const struct weir_vector *vector)
{
    if (vector->kind != WEIR_FLAT)
        return false;
    for (uint32_t i = 0; i < vector->type->child_count; i++)
        if (!vector_is_flat(&vector->children[i]))
            return false;
    return true;
}

static weir_status writer_append(struct weir_parquet_writer *self, uint32_t rows,
                                 struct weir_error *reterr)
{
    uint64_t bits = 0;
    for (uint32_t i = 0; i < self->leaf_count; i++) {
        WEIR_TRY(parquet_column_append(&self->columns[i], &self->slots[i], reterr));
        bits += parquet_column_bits(&self->columns[i]);
    }
    self->buffered_rows += rows;
    self->buffered_bits = bits;
    return bits >= self->row_group_bits ? writer_flush(self, reterr) : WEIR_OK;
}

/* Rows of the shredded ones until the row group is full, that row included. */
static weir_status rows_until_full(struct weir_parquet_writer *self, uint32_t rows,
                                   uint32_t *ret_rows, struct weir_error *reterr)
{
    uint64_t *per_row, bits = self->buffered_bits;
    WEIR_TRY(weir_arena_zero(&self->scratch, rows, sizeof *per_row, &per_row, reterr));
    for (uint32_t i = 0; i < self->leaf_count; i++)
        parquet_slots_bits(&self->slots[i], per_row);
    uint32_t at = 0;
    while (at < rows && bits < self->row_group_bits)
        bits += per_row[at++];
    *ret_rows = at;
    return WEIR_OK;
}

static weir_status writer_add_rows(struct weir_parquet_writer *self, const struct weir_batch *batch,
                                   uint32_t from, uint32_t to, uint32_t *ret_taken,
                                   struct weir_error *reterr)
{
    uint64_t most = self->buffered_bits;
    uint32_t rows = to - from;
    weir_arena_reset(&self->scratch);
    WEIR_TRY(parquet_shred(&self->scratch, batch, from, to, self->slots, reterr));
    for (uint32_t i = 0; i < self->leaf_count; i++)
        most += parquet_slots_bits_most(&self->slots[i]);
    if (most >= self->row_group_bits) {
        WEIR_TRY(rows_until_full(self, rows, &rows, reterr));
        if (rows < to - from)
            WEIR_TRY(parquet_shred(&self->scratch, batch, from, from + rows, self->slots, reterr));
    }
    WEIR_TRY(writer_append(self, rows, reterr));
    *ret_taken = rows;
    return WEIR_OK;
}

static weir_status writer_add(struct weir_parquet_writer *writer, const struct weir_batch *batch,
                              const struct weir_selection *selection, struct weir_error *reterr)
{
    struct weir_batch flat = *batch;
    if (writer->finished || writer->failed)
        return weir_fail(reterr, WEIR_INTERNAL,
                         "rows for a Parquet file that is finished or has failed");
    if (batch->type->child_count != writer->schema->child_count ||
        !weir_type_equal(batch->type, writer->schema, false))
        return weir_fail(reterr, WEIR_INTERNAL, "a batch of another schema than its Parquet file");
    weir_arena_reset(&writer->flat);
    if (selection) {
        WEIR_TRY(weir_batch_gather(&writer->flat, batch, selection, &flat, reterr));
    } else {
        WEIR_TRY(weir_arena_alloc(&writer->flat,
                                  (size_t)batch->type->child_count * sizeof *flat.columns,
                                  &flat.columns, reterr));
        for (uint32_t i = 0; i < batch->type->child_count; i++) {
            flat.columns[i] = batch->columns[i];
            if (!vector_is_flat(&batch->columns[i]))
                WEIR_TRY(weir_vector_gather(&writer->flat, &batch->columns[i], NULL,
                                            &flat.columns[i], reterr));
        }
    }
    for (uint32_t at = 0, taken; at < flat.count; at += taken) {
        uint32_t to = flat.count - at > SHRED_ROWS ? at + SHRED_ROWS : flat.count;
        WEIR_TRY(writer_add_rows(writer, &flat, at, to, &taken, reterr));
    }
    weir_arena_reset(&writer->flat);
    weir_arena_reset(&writer->scratch);
    return WEIR_OK;
}

weir_status weir_parquet_writer_add(struct weir_parquet_writer *writer,
                                    const struct weir_batch *batch,
                                    const struct weir_selection *selection,
                                    struct weir_error *reterr)
{
    weir_status status = writer_add(writer, batch, selection, reterr);
    writer->failed = writer->failed || status != WEIR_OK;
    return status;
}

/* ---- the end
 * ---------------------------------------------------------------------------------------------------
 */

/* Bloom filters, then column indexes, then offset indexes: each kind together, so that a reader
 * fetches it at once. */
static weir_status write_indexes(struct weir_parquet_writer *self, struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer) out = {.account = self->account};
    for (int kind = 0; kind < 3; kind++) {
        for (size_t at = 0; at < self->group_count * self->leaf_count; at++) {
            struct parquet_chunk *chunk =
                &self->groups[at / self->leaf_count].chunks[at % self->leaf_count];
            uint64_t offset = self->written;
            weir_buffer_clear(&out);
            if (kind == 0 && chunk->bloom_size) {
                WEIR_TRY(parquet_bloom_write(chunk, &out, reterr));
                chunk->bloom_offset = offset;
                chunk->bloom_length = out.size;
            } else if (kind == 1 && chunk->index_possible) {
                WEIR_TRY(parquet_column_index_write(chunk, &out, reterr));
                chunk->column_index_offset = offset;
                chunk->column_index_length = out.size;
            } else if (kind == 2) {
                WEIR_TRY(parquet_offset_index_write(chunk, &out, reterr));
                chunk->offset_index_offset = offset;
                chunk->offset_index_length = out.size;
            }
            WEIR_TRY(writer_send(self, out.data, out.size, reterr));
        }
    }
    return WEIR_OK;
}

static weir_status write_footer(struct weir_parquet_writer *self, struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer) out = {.account = self->account};
    WEIR_TRY(parquet_footer_write(self->schema, &self->options, self->groups, self->group_count,
                                  self->leaf_count, self->row_count, &out, reterr));
    if (out.size > INT32_MAX)
        return weir_fail(reterr, WEIR_UNSUPPORTED,
                         "a footer of %zu bytes: too many row groups and columns in one file",
                         out.size);
    uint32_t size = (uint32_t)out.size;
    WEIR_TRY(weir_buffer_append(&out, &size, 4, reterr));
    WEIR_TRY(weir_buffer_append(&out, PARQUET_MAGIC, 4, reterr));
    return writer_send(self, out.data, out.size, reterr);
}

static weir_status leaf_result(struct weir_parquet_writer *self, uint32_t at,
                               struct weir_parquet_leaf *result, struct weir_error *reterr)
{
    const struct parquet_leaf *leaf = &self->leaves[at];
    struct parquet_range range = {0};
    result->field_id = leaf->field_id;
    result->has_nan_count = leaf->physical == PARQUET_FLOAT || leaf->physical == PARQUET_DOUBLE;
    for (size_t g = 0; g < self->group_count; g++) {
        const struct parquet_chunk *chunk = &self->groups[g].chunks[at];
        result->column_size += chunk->compressed_size;
        result->value_count += chunk->value_count;
        result->null_count += chunk->null_count;
        result->nan_count += chunk->nan_count;
        parquet_range_merge(parquet_order_of(leaf), &range, &chunk->range);
    }
    if (!range.set)
        return WEIR_OK;
    WEIR_TRY(
        parquet_bound_iceberg(&self->arena, leaf, &range.lower, false, &result->lower, reterr));
    return parquet_bound_iceberg(&self->arena, leaf, &range.upper, true, &result->upper, reterr);
}

weir_status weir_parquet_writer_finish(struct weir_parquet_writer *writer,
                                       struct weir_parquet_result *ret_result,
                                       struct weir_error *reterr)
{
    struct weir_parquet_leaf *leaves;
    int64_t *offsets;
    if (writer->finished || writer->failed)
        return weir_fail(reterr, WEIR_INTERNAL,
                         "a Parquet file that is finished or has failed is finished again");
    writer->finished = true; /* whatever comes of it */
    WEIR_TRY(writer_flush(writer, reterr));
    if (writer->written == 0)
        WEIR_TRY(writer_send(writer, PARQUET_MAGIC, 4, reterr));
    WEIR_TRY(write_indexes(writer, reterr));
    WEIR_TRY(write_footer(writer, reterr));
    WEIR_TRY(weir_arena_zero(&writer->arena, writer->leaf_count, sizeof *leaves, &leaves, reterr));
    WEIR_TRY(weir_arena_zero(&writer->arena, writer->group_count + 1, sizeof *offsets, &offsets,
                             reterr));
    for (uint32_t i = 0; i < writer->leaf_count; i++)
        WEIR_TRY(leaf_result(writer, i, &leaves[i], reterr));
    for (size_t i = 0; i < writer->group_count; i++)
        offsets[i] = (int64_t)writer->groups[i].file_offset;
    *ret_result = (struct weir_parquet_result){.row_count = writer->row_count,
                                               .file_size = writer->written,
                                               .split_offsets = offsets,
                                               .split_count = writer->group_count,
                                               .leaves = leaves,
                                               .leaf_count = writer->leaf_count};
    return WEIR_OK;
}
