/* Rows of a join's side in a file, in runs by partition. A row in the file is as it was in memory;
 * its chain means nothing there. */
#include "engine/exec/join_int.h"

#include <stdlib.h>

#define READ_SIZE   (128u << 10)
#define CHUNK_LEAST (16u << 10)
#define FLUSH_MOST  (2u << 20)

static size_t memory_limit(const struct exec *exec)
{
    size_t least = 0;
    for (const struct weir_account *account = exec->account; account; account = account->parent)
        if (account->limit && (!least || account->limit < least))
            least = account->limit;
    return least;
}

size_t join_chunk_bytes(const struct exec *exec)
{
    size_t limit = memory_limit(exec);
    size_t share = limit ? limit / 32 : SIZE_MAX / 2;
    return share < CHUNK_LEAST ? CHUNK_LEAST : share;
}

size_t join_flush_bytes(const struct exec *exec)
{
    size_t share = join_chunk_bytes(exec) / 4;
    return share < CHUNK_LEAST ? CHUNK_LEAST : share > FLUSH_MOST ? FLUSH_MOST : share;
}

void join_file_init(struct join_file *file, struct exec *exec, struct weir_operator *operator,
                    const struct weir_row_layout * layout, uint32_t partition_count)
{
    *file = (struct join_file){
        .exec = exec, .operator= operator, .layout = layout, .partition_count = partition_count};
    pthread_mutex_init(&file->lock, NULL);
}

void join_file_done(struct join_file *file)
{
    if (!file->exec)
        return;
    weir_spill_file_free(file->file);
    weir_free(file->segments);
    pthread_mutex_destroy(&file->lock);
    file->exec = NULL;
}

static uint32_t partition_in(const struct join_file *file, uint8_t *row)
{
    return file->partition_count == 1 ? 0 : join_partition_of(join_row(row)->hash);
}

static weir_status add_segment(struct join_file *file, const struct join_segment *segment,
                               struct weir_error *reterr)
{
    if (file->segment_count == file->segment_capacity) {
        size_t capacity = file->segment_capacity ? file->segment_capacity * 2 : JOIN_PARTITIONS;
        WEIR_TRY(weir_realloc(&file->segments, file->exec->account,
                              capacity * sizeof *file->segments, reterr));
        file->segment_capacity = capacity;
    }
    file->segments[file->segment_count++] = *segment;
    return WEIR_OK;
}

/* The lock is held. */
static weir_status write_runs(struct join_file *file, uint8_t *const *rows, const uint64_t *starts,
                              size_t morsel, uint32_t sequence, struct weir_error *reterr)
{
    if (!file->file)
        WEIR_TRY(weir_spill_file_new(file->exec->options->spill, &file->file, reterr));
    uint64_t before = weir_spill_size(file->file);
    for (uint32_t p = 0; p < file->partition_count; p++) {
        struct join_segment segment = {.morsel = morsel,
                                       .sequence = sequence,
                                       .partition = p,
                                       .offset = weir_spill_size(file->file),
                                       .row_count = starts[p + 1] - starts[p]};
        if (!segment.row_count)
            continue;
        for (uint64_t i = starts[p]; i < starts[p + 1]; i++)
            WEIR_TRY(weir_spill_write(file->file, rows[i], weir_row_size(file->layout, rows[i]),
                                      reterr));
        segment.size = weir_spill_size(file->file) - segment.offset;
        WEIR_TRY(add_segment(file, &segment, reterr));
    }
    atomic_fetch_add(&file->operator->counters.bytes_spilled, weir_spill_size(file->file) - before);
    return WEIR_OK;
}

weir_status join_file_write(struct join_file *file, struct weir_row_store *store, size_t morsel,
                            uint32_t *sequence, struct weir_error *reterr)
{
    uint64_t starts[JOIN_PARTITIONS + 1] = {0}, at[JOIN_PARTITIONS];
    struct weir_row_cursor cursor = {0};
    struct weir_account *account = store->account;
    uint8_t **rows, *row;
    if (!store->row_count)
        return WEIR_OK;
    WEIR_TRY(weir_alloc(account, store->row_count * sizeof *rows, &rows, reterr));
    while ((row = weir_row_store_next(store, file->layout, &cursor)))
        starts[partition_in(file, row) + 1]++;
    for (uint32_t p = 0; p < JOIN_PARTITIONS; p++) {
        starts[p + 1] += starts[p];
        at[p] = starts[p];
    }
    cursor = (struct weir_row_cursor){0};
    while ((row = weir_row_store_next(store, file->layout, &cursor)))
        rows[at[partition_in(file, row)]++] = row;
    pthread_mutex_lock(&file->lock);
    weir_status status = write_runs(file, rows, starts, morsel, (*sequence)++, reterr);
    pthread_mutex_unlock(&file->lock);
    weir_free(rows);
    weir_row_store_done(store);
    weir_row_store_init(store, account);
    return status;
}

static int compare_segments(const void *a, const void *b)
{
    const struct join_segment *x = a, *y = b;
    if (x->partition != y->partition)
        return x->partition < y->partition ? -1 : 1;
    if (x->morsel != y->morsel)
        return x->morsel < y->morsel ? -1 : 1;
    return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

weir_status join_file_finish(struct join_file *file, struct weir_error *reterr)
{
    if (!file->file)
        return WEIR_OK;
    qsort(file->segments, file->segment_count, sizeof *file->segments, compare_segments);
    return weir_spill_finish(file->file, reterr);
}

uint64_t join_file_rows(const struct join_file *file, uint32_t partition)
{
    uint64_t count = 0;
    for (size_t i = 0; i < file->segment_count; i++)
        count += file->segments[i].partition == partition ? file->segments[i].row_count : 0;
    return count;
}

uint64_t join_file_bytes(const struct join_file *file, uint32_t partition)
{
    uint64_t size = 0;
    for (size_t i = 0; i < file->segment_count; i++)
        size += file->segments[i].partition == partition ? file->segments[i].size : 0;
    return size;
}

/* ---- reading ---- */

void join_file_rewind(struct join_file_reader *reader)
{
    reader->segment = 0;
    reader->at = 0;
    reader->used = 0;
    weir_buffer_clear(&reader->buffer);
}

/* Whole size of the row that begins at `data`, or 0 if `size` bytes do not tell. */
static size_t whole_size(const struct weir_row_layout *layout, const uint8_t *data, size_t size)
{
    return size < layout->fixed_size ? 0 : weir_row_size(layout, data);
}

/* Reads on in the segment, from the first row that was not handed out. */
static weir_status fill(struct join_file_reader *reader, const struct join_segment *segment,
                        struct weir_error *reterr)
{
    size_t want = READ_SIZE, known = reader->buffer.size - reader->used;
    if (known) {
        size_t row = whole_size(reader->file->layout, reader->buffer.data + reader->used, known);
        want = row > want ? row : want;
    }
    want = want < reader->file->layout->fixed_size ? reader->file->layout->fixed_size : want;
    reader->at += reader->used;
    reader->used = 0;
    uint64_t left = segment->size - reader->at;
    want = want > left ? left : want;
    weir_buffer_clear(&reader->buffer);
    WEIR_TRY(weir_buffer_reserve(&reader->buffer, want, reterr));
    WEIR_TRY(weir_spill_read(reader->file->file, segment->offset + reader->at, reader->buffer.data,
                             want, reterr));
    reader->buffer.size = want;
    return WEIR_OK;
}

/* The segment that is being read, or NULL at the end. */
static const struct join_segment *current_segment(struct join_file_reader *reader)
{
    const struct join_file *file = reader->file;
    while (reader->segment < file->segment_count) {
        const struct join_segment *segment = &file->segments[reader->segment];
        if (segment->partition == reader->partition && reader->at + reader->used < segment->size)
            return segment;
        reader->segment++;
        reader->at = reader->used = 0;
        weir_buffer_clear(&reader->buffer);
    }
    return NULL;
}

weir_status join_file_read(struct join_file_reader *reader, uint32_t most, uint8_t **rows,
                           uint32_t *ret_count, struct weir_error *reterr)
{
    uint32_t count = 0;
    reader->buffer.account = reader->file->exec->account;
    while (count == 0) {
        const struct join_segment *segment = current_segment(reader);
        if (!segment)
            break;
        while (count < most) {
            uint8_t *at = reader->buffer.data + reader->used;
            size_t left = reader->buffer.size - reader->used;
            size_t size = left ? whole_size(reader->file->layout, at, left) : 0;
            if (!size || size > left)
                break;
            rows[count++] = at;
            reader->used += size;
        }
        if (count == 0) {
            WEIR_TRY(fill(reader, segment, reterr));
        }
    }
    *ret_count = count;
    return WEIR_OK;
}
