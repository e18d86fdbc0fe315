/* Groups on their way out: a morsel is a partition, its rows in order of buckets, then as they were
 * first met. With few groups all partitions are one morsel. */
#include "engine/exec/aggregate_int.h"

#define FEW_GROUPS 8192
#define FILES_MAX  32 /* waiting: 16 of each of two splits */

struct aggregate_source {
    struct exec_source source;
    struct aggregate *aggregate;
    bool one_morsel;
};

struct waiting_file {
    struct weir_spill_file *file;
    uint32_t depth; /* 0: the partition's own; 1, 2: split */
};

struct group_reader {
    struct aggregate *aggregate;
    uint32_t partition, partition_end;    /* next to be opened, end */
    struct groups *groups;                /* whose rows these are */
    struct groups loaded;                 /* from a file */
    struct waiting_file files[FILES_MAX]; /* the last is next */
    uint32_t file_count;
    uint8_t **rows;
    uint32_t row_count, at;
};

static size_t source_morsels(const struct exec_source *opaque)
{
    return ((const struct aggregate_source *)opaque)->one_morsel ? 1 : AGGREGATE_PARTITIONS;
}

static weir_status source_open(struct exec_source *opaque, size_t morsel,
                               struct exec_reader **ret_reader, struct weir_error *reterr)
{
    struct aggregate_source *source = (struct aggregate_source *)opaque;
    struct group_reader *reader;
    WEIR_TRY(weir_alloc_zero(opaque->exec->account, 1, sizeof *reader, &reader, reterr));
    reader->aggregate = source->aggregate;
    reader->partition = (uint32_t)morsel;
    reader->partition_end = source->one_morsel ? AGGREGATE_PARTITIONS : (uint32_t)morsel + 1;
    *ret_reader = (struct exec_reader *)reader;
    return WEIR_OK;
}

static void reader_drop_groups(struct group_reader *reader)
{
    if (reader->groups)
        groups_done(reader->groups);
    reader->groups = NULL;
    weir_free(reader->rows);
    reader->rows = NULL;
    reader->row_count = reader->at = 0;
}

/* The groups' rows by bucket. */
static weir_status reader_sort(struct group_reader *reader, struct weir_error *reterr)
{
    const struct groups *groups = reader->groups;
    struct weir_row_cursor cursor = {0};
    uint32_t at[AGGREGATE_BUCKETS] = {0}, sum = 0;
    uint8_t *row;
    weir_free(groups->slots); /* no longer needed */
    reader->groups->slots = NULL;
    WEIR_TRY(weir_alloc(reader->aggregate->sink.exec->account,
                        (groups->store.row_count + 1) * sizeof *reader->rows, &reader->rows,
                        reterr));
    while ((row = weir_row_store_next(&groups->store, &reader->aggregate->layout, &cursor)))
        at[hash_bucket(group_hash(row))]++;
    for (uint32_t b = 0; b < AGGREGATE_BUCKETS; b++) {
        uint32_t here = at[b];
        at[b] = sum;
        sum += here;
    }
    cursor = (struct weir_row_cursor){0};
    while ((row = weir_row_store_next(&groups->store, &reader->aggregate->layout, &cursor)))
        reader->rows[at[hash_bucket(group_hash(row))]++] = row;
    reader->row_count = sum;
    return WEIR_OK;
}

/* Bytes of a file that may be loaded at once; what is left of the limit, shared by all threads. */
static uint64_t load_budget(const struct exec *exec)
{
    uint64_t least = UINT64_MAX;
    for (const struct weir_account *account = exec->account; account; account = account->parent) {
        size_t used = atomic_load_explicit(&account->used, memory_order_relaxed);
        if (account->limit &&
            account->limit - (used < account->limit ? used : account->limit) < least)
            least = account->limit - (used < account->limit ? used : account->limit);
    }
    least /= 8u * (uint64_t)(exec->context->thread_count > 0 ? exec->context->thread_count : 1);
    return least < (256u << 10) ? 256u << 10 : least;
}

static weir_status reader_load(struct group_reader *reader, struct weir_error *reterr)
{
    struct aggregate *aggregate = reader->aggregate;
    struct waiting_file next = reader->files[--reader->file_count];
    struct weir_spill_file *files[16];
    weir_status status;
    if (next.depth < 2 && weir_spill_size(next.file) > load_budget(aggregate->sink.exec)) {
        status = aggregate_split(aggregate, next.file, next.depth ? 0 : 4, files, reterr);
        if (status == WEIR_OK)
            for (uint32_t i = 16; i-- > 0;)
                reader->files[reader->file_count++] = (struct waiting_file){files[i],
                                                                            next.depth + 1};
    } else {
        status = groups_init(&reader->loaded, aggregate->sink.exec->account, reterr);
        if (status == WEIR_OK) {
            reader->groups = &reader->loaded;
            status = aggregate_load(aggregate, next.file, &reader->loaded, reterr);
        }
        if (status == WEIR_OK)
            status = reader_sort(reader, reterr);
    }
    weir_spill_file_free(next.file);
    return status;
}

/* The next rows there are: of a file, or of the next partition. False: the end. */
static weir_status reader_advance(struct group_reader *reader, bool *ret_any,
                                  struct weir_error *reterr)
{
    *ret_any = true;
    while (reader->at == reader->row_count) {
        reader_drop_groups(reader);
        if (reader->file_count) {
            WEIR_TRY(reader_load(reader, reterr));
            continue;
        }
        if (reader->partition == reader->partition_end) {
            *ret_any = false;
            return WEIR_OK;
        }
        struct aggregate_partition *next = &reader->aggregate->partitions[reader->partition++];
        if (next->file) {
            reader->files[reader->file_count++] = (struct waiting_file){next->file, 0};
            next->file = NULL;
        } else if (next->groups.arena) {
            reader->groups = &next->groups;
            WEIR_TRY(reader_sort(reader, reterr));
        }
    }
    return WEIR_OK;
}

static weir_status reader_finalize(struct group_reader *reader, uint8_t *const *rows,
                                   uint32_t count, struct weir_arena *arena,
                                   struct weir_batch *batch, struct weir_error *reterr)
{
    const struct aggregate *aggregate = reader->aggregate;
    uint32_t keys = aggregate->key_count - aggregate->numbers_set;
    for (uint32_t k = 0; k < aggregate->key_count; k++)
        WEIR_TRY(weir_rows_read(&aggregate->layout, k, rows, count, arena,
                                &batch->columns[k < keys ? k : keys + aggregate->call_count],
                                reterr));
    for (uint32_t c = 0; c < aggregate->call_count; c++) {
        const struct aggregate_call *call = &aggregate->calls[c];
        weir_status status = call->call.function->finalize(
            &call->call, rows, call->offset, count, arena, &batch->columns[keys + c], reterr);
        if (status != WEIR_OK) {
            if (call->call.location >= 0)
                atomic_store(&aggregate->sink.exec->location, call->call.location);
            return status;
        }
    }
    return WEIR_OK;
}

static weir_status source_next(struct exec_reader *opaque, struct weir_arena *arena,
                               struct weir_batch *ret_batch, struct weir_error *reterr)
{
    struct group_reader *reader = (struct group_reader *)opaque;
    const struct aggregate *aggregate = reader->aggregate;
    struct weir_batch batch = {.type = &aggregate->sink.operator->type };
    uint32_t most = aggregate->sink.exec->batch_rows;
    uint8_t **rows;
    WEIR_TRY(weir_arena_alloc(arena, ((size_t)most + 1) * sizeof *rows, &rows, reterr));
    bool any;
    WEIR_TRY(reader_advance(reader, &any, reterr));
    if (!any)
        return WEIR_OK;
    batch.count = reader->row_count - reader->at < most ? reader->row_count - reader->at : most;
    memcpy(rows, reader->rows + reader->at, batch.count * sizeof *rows);
    reader->at += batch.count;
    WEIR_TRY(weir_arena_zero(arena, (size_t)aggregate->key_count + aggregate->call_count + 1,
                             sizeof *batch.columns, &batch.columns, reterr));
    WEIR_TRY(reader_finalize(reader, rows, batch.count, arena, &batch, reterr));
    *ret_batch = batch;
    return WEIR_OK;
}

static void source_close(struct exec_reader *opaque)
{
    struct group_reader *reader = (struct group_reader *)opaque;
    if (!reader)
        return;
    reader_drop_groups(reader);
    while (reader->file_count)
        weir_spill_file_free(reader->files[--reader->file_count].file);
    weir_free(reader);
}

static void source_free(struct exec_source *source)
{
    weir_free(source);
}

static const struct exec_source_operations source_operations = {.morsel_count = source_morsels,
                                                                .open = source_open,
                                                                .next = source_next,
                                                                .close = source_close,
                                                                .free = source_free};

/* Groups of all partitions in one table, in order of partitions. */
static weir_status gather_few(struct aggregate *aggregate, struct weir_error *reterr)
{
    struct groups all = {0};
    weir_status status = groups_init(&all, aggregate->sink.exec->account, reterr);
    for (uint32_t p = 0; p < AGGREGATE_PARTITIONS && status == WEIR_OK; p++) {
        struct groups *groups = &aggregate->partitions[p].groups;
        struct weir_row_cursor cursor = {0};
        uint8_t *row;
        while (groups->arena && status == WEIR_OK &&
               (row = weir_row_store_next(&groups->store, &aggregate->layout, &cursor)))
            status = groups_merge(aggregate, &all, &row, 1, reterr);
        groups_done(groups);
    }
    if (status != WEIR_OK) {
        groups_done(&all);
        return status;
    }
    aggregate->partitions[0].groups = all;
    return WEIR_OK;
}

weir_status aggregate_source_new(struct aggregate *aggregate, struct exec_source **ret_source,
                                 struct weir_error *reterr)
{
    struct exec *exec = aggregate->sink.exec;
    struct aggregate_source *source;
    uint64_t count = 0;
    bool spilled = false;
    for (uint32_t p = 0; p < AGGREGATE_PARTITIONS; p++) {
        spilled |= aggregate->partitions[p].file != NULL;
        count += aggregate->partitions[p].groups.count;
    }
    for (uint32_t p = 0; p < AGGREGATE_PARTITIONS && spilled; p++) {
        struct aggregate_partition *partition = &aggregate->partitions[p];
        if (!partition->file && partition->groups.arena && exec_should_spill(exec))
            WEIR_TRY(aggregate_spill_partition(aggregate, partition, reterr));
        if (partition->file)
            WEIR_TRY(weir_spill_finish(partition->file, reterr));
    }
    bool few = count <= FEW_GROUPS && !spilled;
    if (few)
        WEIR_TRY(gather_few(aggregate, reterr));
    WEIR_TRY(weir_alloc_zero(exec->account, 1, sizeof *source, &source, reterr));
    *source = (struct aggregate_source){.source = {.operations = &source_operations,
                                                   .exec = exec,
                                                   .operator= aggregate->sink.operator},
                                                   .aggregate = aggregate,
                                                   .one_morsel = few};
    *ret_source = &source->source;
    return WEIR_OK;
}
