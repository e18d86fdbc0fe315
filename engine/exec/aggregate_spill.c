/* Partitions in files. A record is [u32 bytes of the row][u32 bytes of extras][row][extras], padded
 * to 8; extras are what states hold beyond the row: for each call that serializes u32 size, bytes.
 * Records are in the order in which they would have been merged, so that merging them after they
 * are read gives the same bits. */
#include "engine/exec/aggregate_int.h"

#define READ_SIZE  (256u << 10)
#define LOAD_CHUNK 1024

static weir_status extras_of(const struct aggregate *aggregate, const uint8_t *row,
                             struct weir_buffer *extras, struct weir_error *reterr)
{
    static const uint8_t padding[8];
    weir_buffer_clear(extras);
    for (uint32_t c = 0; c < aggregate->call_count; c++) {
        const struct aggregate_call *call = &aggregate->calls[c];
        if (!call->call.function->serialize)
            continue;
        size_t start = extras->size;
        uint32_t size = 0;
        WEIR_TRY(weir_buffer_append(extras, &size, sizeof size, reterr));
        WEIR_TRY(call->call.function->serialize(&call->call, row + call->offset, extras, reterr));
        if (extras->size - start > UINT32_MAX / 2)
            return weir_fail(reterr, WEIR_NO_MEMORY, "an aggregate's state of %zu bytes",
                             extras->size - start);
        size = (uint32_t)(extras->size - start - sizeof size);
        memcpy(extras->data + start, &size, sizeof size);
    }
    return weir_buffer_append(extras, padding, -extras->size & 7, reterr);
}

weir_status aggregate_spill_rows(struct aggregate *aggregate, struct weir_spill_file *file,
                                 uint8_t *const *rows, uint32_t count, struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer) extras = {.account = aggregate->sink.exec->account};
    uint64_t before = weir_spill_size(file);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t head[2] = {weir_row_size(&aggregate->layout, rows[i]), 0};
        if (!aggregate->plain) {
            WEIR_TRY(extras_of(aggregate, rows[i], &extras, reterr));
            head[1] = (uint32_t)extras.size;
        }
        WEIR_TRY(weir_spill_write(file, head, sizeof head, reterr));
        WEIR_TRY(weir_spill_write(file, rows[i], head[0], reterr));
        if (head[1])
            WEIR_TRY(weir_spill_write(file, extras.data, head[1], reterr));
    }
    atomic_fetch_add(&aggregate->sink.operator->counters.bytes_spilled,
                     weir_spill_size(file) - before);
    return WEIR_OK;
}

weir_status aggregate_spill_partition(struct aggregate *aggregate,
                                      struct aggregate_partition *partition,
                                      struct weir_error *reterr)
{
    struct weir_row_cursor cursor = {0};
    uint8_t *rows[LOAD_CHUNK];
    uint32_t count = 0;
    WEIR_TRY(weir_spill_file_new(aggregate->sink.exec->options->spill, &partition->file, reterr));
    do {
        rows[count] = weir_row_store_next(&partition->groups.store, &aggregate->layout, &cursor);
        bool end = !rows[count];
        count += !end;
        if (count == LOAD_CHUNK || end) {
            WEIR_TRY(aggregate_spill_rows(aggregate, partition->file, rows, count, reterr));
            count = 0;
        }
        if (end)
            break;
    } while (true);
    groups_done(&partition->groups);
    return WEIR_OK;
}

/* ---- back ---- */

struct records {
    struct weir_spill_file *file;
    uint64_t at, end; /* of the file */
    struct weir_buffer buffer;
    size_t taken; /* bytes of the buffer that were given out */
};

/* More of the file behind what is left in the buffer. */
static weir_status records_fill(struct records *records, size_t wanted, struct weir_error *reterr)
{
    size_t left = records->buffer.size - records->taken;
    size_t more = wanted > READ_SIZE ? wanted : READ_SIZE;
    if (left)
        memmove(records->buffer.data, records->buffer.data + records->taken, left);
    records->buffer.size = left;
    records->taken = 0;
    more = more > records->end - records->at ? (size_t)(records->end - records->at) : more;
    WEIR_TRY(weir_buffer_reserve(&records->buffer, more + 8, reterr));
    WEIR_TRY(
        weir_spill_read(records->file, records->at, records->buffer.data + left, more, reterr));
    records->at += more;
    records->buffer.size += more;
    return WEIR_OK;
}

/* The next record; false = it is not whole in the buffer, whose missing bytes are *ret_missing (0:
 * the end). */
static bool records_next(struct records *records, const uint8_t **ret_record, uint32_t ret_head[2],
                         size_t *ret_missing)
{
    size_t left = records->buffer.size - records->taken, whole = 8;
    const uint8_t *record = records->buffer.data + records->taken;
    if (left >= 8) {
        memcpy(ret_head, record, 8);
        whole = 8 + (size_t)ret_head[0] + ret_head[1];
    }
    if (left < whole) {
        *ret_missing = left == 0 && records->at == records->end ? 0 : whole - left;
        return false;
    }
    records->taken += whole;
    *ret_record = record;
    return true;
}

static weir_status restore_states(const struct aggregate *aggregate,
                                  struct weir_aggregate_memory *memory, uint8_t *row,
                                  const uint8_t *extras, struct weir_error *reterr)
{
    for (uint32_t c = 0; c < aggregate->call_count; c++) {
        const struct aggregate_call *call = &aggregate->calls[c];
        uint32_t size;
        if (!call->call.function->serialize)
            continue;
        memcpy(&size, extras, sizeof size);
        WEIR_TRY(call->call.function->deserialize(&call->call, memory, extras + sizeof size, size,
                                                  row + call->offset, reterr));
        extras += sizeof size + size;
    }
    return WEIR_OK;
}

static weir_status load_chunk(struct aggregate *aggregate, struct records *records,
                              struct groups *groups, struct weir_arena *scratch,
                              size_t *ret_missing, struct weir_error *reterr)
{
    struct weir_aggregate_memory memory = {.arena = scratch};
    uint8_t *rows[LOAD_CHUNK];
    const uint8_t *record;
    uint32_t count = 0, head[2];
    weir_arena_reset(scratch);
    *ret_missing = SIZE_MAX;
    while (count < LOAD_CHUNK) {
        if (!records_next(records, &record, head, ret_missing))
            break;
        rows[count] = (uint8_t *)(uintptr_t)record + 8;
        if (!aggregate->plain)
            WEIR_TRY(
                restore_states(aggregate, &memory, rows[count], rows[count] + head[0], reterr));
        count++;
    }
    return groups_merge(aggregate, groups, rows, count, reterr);
}

weir_status aggregate_load(struct aggregate *aggregate, struct weir_spill_file *file,
                           struct groups *groups, struct weir_error *reterr)
{
    struct weir_account *account = aggregate->sink.exec->account;
    struct records records = {.file = file, .end = weir_spill_size(file)};
    struct weir_arena scratch;
    weir_status status = WEIR_OK;
    size_t missing = SIZE_MAX;
    weir_buffer_init(&records.buffer, account);
    weir_arena_init(&scratch, account);
    while (status == WEIR_OK && missing) {
        status = weir_context_check(aggregate->sink.exec->context, reterr);
        if (status == WEIR_OK && missing != SIZE_MAX)
            status = records_fill(&records, missing, reterr);
        if (status == WEIR_OK)
            status = load_chunk(aggregate, &records, groups, &scratch, &missing, reterr);
    }
    weir_buffer_done(&records.buffer);
    weir_arena_done(&scratch);
    return status;
}

static weir_status split_records(struct records *records, uint32_t shift,
                                 struct weir_spill_file *const files[16], struct weir_error *reterr)
{
    size_t missing = 0;
    const uint8_t *record;
    uint32_t head[2];
    for (;;) {
        if (records_next(records, &record, head, &missing)) {
            uint32_t number = hash_bucket(group_hash(record + 8)) >> shift & 15;
            WEIR_TRY(
                weir_spill_write(files[number], record, 8 + (size_t)head[0] + head[1], reterr));
            continue;
        }
        if (!missing)
            return WEIR_OK;
        WEIR_TRY(records_fill(records, missing, reterr));
    }
}

weir_status aggregate_split(struct aggregate *aggregate, struct weir_spill_file *file,
                            uint32_t shift, struct weir_spill_file *ret_files[16],
                            struct weir_error *reterr)
{
    const struct exec *exec = aggregate->sink.exec;
    struct records records = {.file = file, .end = weir_spill_size(file)};
    struct weir_spill_file *files[16] = {NULL};
    weir_status status = WEIR_OK;
    weir_buffer_init(&records.buffer, exec->account);
    for (uint32_t i = 0; i < 16 && status == WEIR_OK; i++)
        status = weir_spill_file_new(exec->options->spill, &files[i], reterr);
    if (status == WEIR_OK)
        status = split_records(&records, shift, files, reterr);
    for (uint32_t i = 0; i < 16 && status == WEIR_OK; i++)
        status = weir_spill_finish(files[i], reterr);
    weir_buffer_done(&records.buffer);
    for (uint32_t i = 0; i < 16; i++) {
        if (status == WEIR_OK)
            ret_files[i] = files[i];
        else
            weir_spill_file_free(files[i]);
    }
    return status;
}
