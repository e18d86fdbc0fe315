/* What comes after a join's probe rows: build rows without a partner, and, when the sides went to
 * files, the join itself, a partition a morsel. */
#include "engine/exec/join_int.h"

struct remainder {
    struct exec_source source;
    struct join *join;
    struct join_file *probe; /* NULL: in memory */
};

enum part_stage { PART_LOAD, PART_PROBE, PART_UNMATCHED, PART_END };

struct part_reader {
    struct remainder *remainder;
    enum part_stage stage;
    uint64_t unmatched, unmatched_end; /* of the table's rows: looked at next, end */
    const struct join_table *table;    /* in memory: the join's own */

    /* from files */
    struct join_file_reader build, probe;
    uint8_t **rows; /* exec->batch_rows */
    uint8_t **waiting;
    uint32_t waiting_count, waiting_at; /* build rows read, not yet in a chunk */
    struct join_parts parts;            /* the chunk */
    struct join_table own;
    bool last_chunk;
    uint8_t *found; /* of all probe rows of the partition; NULL with a single chunk */
    uint64_t probe_at;
    struct join_cursor cursor;
    bool probing;
    struct weir_arena arena; /* of the probe batch */
    struct weir_batch batch;
};

static size_t remainder_morsels(const struct exec_source *opaque)
{
    const struct remainder *remainder = (const struct remainder *)opaque;
    return remainder->probe ? remainder->probe->partition_count : JOIN_PARTITIONS;
}

static void part_close(struct exec_reader *opaque)
{
    struct part_reader *reader = (struct part_reader *)opaque;
    if (!reader)
        return;
    join_table_done(&reader->own);
    join_parts_done(&reader->parts);
    weir_buffer_done(&reader->build.buffer);
    weir_buffer_done(&reader->probe.buffer);
    weir_free(reader->rows);
    weir_free(reader->waiting);
    weir_free(reader->found);
    join_cursor_done(&reader->cursor);
    weir_arena_done(&reader->arena);
    weir_free(reader);
}

static weir_status part_open(struct exec_source *opaque, size_t morsel,
                             struct exec_reader **ret_reader, struct weir_error *reterr)
{
    struct remainder *remainder = (struct remainder *)opaque;
    struct join *join = remainder->join;
    struct weir_account *account = opaque->exec->account;
    struct part_reader *reader;
    weir_status status;
    WEIR_TRY(weir_alloc_zero(account, 1, sizeof *reader, &reader, reterr));
    reader->remainder = remainder;
    weir_arena_init(&reader->arena, account);
    join_cursor_init(&reader->cursor, join, &reader->own);
    WEIR_TRY_OUT(status, weir_alloc(account, opaque->exec->batch_rows * sizeof *reader->rows,
                                    &reader->rows, reterr));
    if (!remainder->probe) {
        reader->stage = PART_UNMATCHED;
        reader->table = &join->table;
        reader->unmatched = join->table.starts[morsel];
        reader->unmatched_end = join->table.starts[morsel + 1];
        reader->last_chunk = true;
    } else {
        reader->table = &reader->own;
        reader->build = (struct join_file_reader){.file = &join->file,
                                                  .partition = (uint32_t)morsel};
        reader->probe = (struct join_file_reader){.file = remainder->probe,
                                                  .partition = (uint32_t)morsel};
        WEIR_TRY_OUT(status, weir_alloc(account, opaque->exec->batch_rows * sizeof *reader->waiting,
                                        &reader->waiting, reterr));
    }
    *ret_reader = (struct exec_reader *)reader;
    return WEIR_OK;
out:
    part_close((struct exec_reader *)reader);
    return status;
}

/* ---- a chunk of build rows ---- */

static weir_status build_row(struct part_reader *reader, uint8_t **ret_row,
                             struct weir_error *reterr)
{
    uint32_t most = reader->remainder->source.exec->batch_rows;
    if (reader->waiting_at == reader->waiting_count) {
        reader->waiting_at = reader->waiting_count = 0;
        WEIR_TRY(
            join_file_read(&reader->build, most, reader->waiting, &reader->waiting_count, reterr));
    }
    *ret_row = reader->waiting_at < reader->waiting_count ? reader->waiting[reader->waiting_at]
                                                          : NULL;
    return WEIR_OK;
}

static weir_status fill_chunk(struct part_reader *reader, struct join_part *part,
                              struct weir_error *reterr)
{
    struct join *join = reader->remainder->join;
    size_t most = join_chunk_bytes(reader->remainder->source.exec);
    uint8_t *row, *place;
    while (true) {
        WEIR_TRY(build_row(reader, &row, reterr));
        reader->last_chunk = !row;
        if (!row)
            return WEIR_OK;
        uint32_t size = weir_row_size(&join->layout, row);
        if (part->store.row_count && part->store.byte_count + size > most)
            return WEIR_OK;
        WEIR_TRY(weir_row_store_add(&part->store, size, &place, reterr));
        memcpy(place, row, size);
        part->counts[join_partition_of(join_row(place)->hash)]++;
        reader->waiting_at++;
    }
}

static weir_status load_chunk(struct part_reader *reader, struct weir_error *reterr)
{
    struct join *join = reader->remainder->join;
    struct exec *exec = reader->remainder->source.exec;
    struct join_part *part;
    bool first = reader->parts.parts == NULL;
    join_table_done(&reader->own);
    join_parts_done(&reader->parts);
    WEIR_TRY(weir_alloc_zero(exec->account, 1, sizeof *part, &part, reterr));
    weir_row_store_init(&part->store, exec->account);
    WEIR_TRY(join_parts_add(&reader->parts, exec->account, part, reterr));
    WEIR_TRY(fill_chunk(reader, part, reterr));
    if (first && !reader->last_chunk)
        WEIR_TRY(weir_alloc_zero(exec->account,
                                 join_file_rows(reader->probe.file, reader->probe.partition) + 1, 1,
                                 &reader->found, reterr));
    uint32_t rotate = join->file.partition_count == 1 ? 0 : JOIN_PARTITION_BITS;
    WEIR_TRY(join_table_build(join, &reader->own, &reader->parts, rotate, NULL, reterr));
    join_file_rewind(&reader->probe);
    reader->probe_at = 0;
    reader->unmatched = 0;
    reader->unmatched_end = join->marks_build ? reader->own.row_count : 0;
    reader->stage = PART_PROBE;
    return WEIR_OK;
}

/* ---- its probe rows ---- */

static weir_status next_probe_batch(struct part_reader *reader, struct weir_error *reterr)
{
    const struct remainder *remainder = reader->remainder;
    const struct join *join = remainder->join;
    const struct weir_row_layout *layout = remainder->probe->layout;
    struct weir_vector *columns;
    uint32_t count = 0;
    WEIR_TRY(join_file_read(&reader->probe, remainder->source.exec->batch_rows, reader->rows,
                            &count, reterr));
    if (count == 0) {
        reader->stage = PART_UNMATCHED;
        return WEIR_OK;
    }
    weir_arena_reset(&reader->arena);
    WEIR_TRY(weir_arena_zero(&reader->arena, layout->count + 1, sizeof *columns, &columns, reterr));
    for (uint32_t c = 0; c < layout->count; c++) {
        WEIR_TRY(
            weir_rows_read(layout, c, reader->rows, count, &reader->arena, &columns[c], reterr));
        columns[c].type = &join->joined.children[c].type;
    }
    reader->batch = (struct weir_batch){
        .type = &remainder->source.operator->children[0]->type, .count = count, .columns = columns};
    uint8_t *found = reader->found ? reader->found + reader->probe_at : NULL;
    WEIR_TRY(join_cursor_start(&reader->cursor, &reader->batch, found, reader->last_chunk, reterr));
    reader->probe_at += count;
    reader->probing = true;
    return WEIR_OK;
}

static weir_status probe_on(struct part_reader *reader, struct weir_arena *arena,
                            struct weir_batch *batch, struct weir_error *reterr)
{
    WEIR_TRY(weir_context_check(reader->remainder->source.exec->context, reterr));
    if (!reader->probing)
        return next_probe_batch(reader, reterr);
    WEIR_TRY(join_cursor_next(&reader->cursor, arena, batch, reterr));
    reader->probing = batch->count > 0;
    return WEIR_OK;
}

/* ---- build rows without a partner, or those with one ---- */

static weir_status unmatched_on(struct part_reader *reader, struct weir_arena *arena,
                                struct weir_batch *batch, struct weir_error *reterr)
{
    struct join *join = reader->remainder->join;
    uint32_t most = reader->remainder->source.exec->batch_rows, count = 0;
    bool matched = join->sink.operator->join == WEIR_JOIN_RIGHT_SEMI;
    while (reader->unmatched < reader->unmatched_end && count < most) {
        uint8_t *place = reader->table->rows[reader->unmatched++];
        reader->rows[count] = place;
        count += join_row_matched(place) == matched;
    }
    if (count)
        return join_unmatched_batch(join, reader->rows, count, arena, batch, reterr);
    reader->stage = reader->last_chunk ? PART_END : PART_LOAD;
    return WEIR_OK;
}

static weir_status part_next(struct exec_reader *opaque, struct weir_arena *arena,
                             struct weir_batch *ret_batch, struct weir_error *reterr)
{
    struct part_reader *reader = (struct part_reader *)opaque;
    struct weir_batch batch = {0};
    while (!batch.count && reader->stage != PART_END) {
        switch (reader->stage) {
        case PART_LOAD: WEIR_TRY(load_chunk(reader, reterr)); break;
        case PART_PROBE: WEIR_TRY(probe_on(reader, arena, &batch, reterr)); break;
        default: WEIR_TRY(unmatched_on(reader, arena, &batch, reterr));
        }
    }
    *ret_batch = batch;
    return WEIR_OK;
}

static void remainder_free(struct exec_source *opaque)
{
    weir_free(opaque);
}

static const struct exec_source_operations remainder_operations = {
    .morsel_count = remainder_morsels,
    .open = part_open,
    .next = part_next,
    .close = part_close,
    .free = remainder_free};

weir_status join_remainder_new(struct join *join, struct join_file *probe,
                               struct exec_source **ret_source, struct weir_error *reterr)
{
    struct remainder *remainder;
    WEIR_TRY(weir_alloc_zero(join->sink.exec->account, 1, sizeof *remainder, &remainder, reterr));
    remainder->source = (struct exec_source){.operations = &remainder_operations,
                                             .exec = join->sink.exec,
                                             .operator= join->sink.operator};
    remainder->join = join;
    remainder->probe = probe;
    *ret_source = &remainder->source;
    return WEIR_OK;
}
