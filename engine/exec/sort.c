/* ORDER BY, with or without LIMIT: a sink that gathers records and a source that gives them in
 * order. */
#include "engine/exec/sort_int.h"

#define SORT_MORSEL_ROWS 32768u /* of the source: a count, so that threads do not matter */
#define RUN_LEAST        (64u << 10)
#define RUN_ENOUGH       (16u << 20)

/* ---- the machine ---- */

weir_status sorter_init(struct sorter *sorter, struct exec *exec, struct weir_operator *operator,
                        const struct weir_type * type, const struct weir_sort_key *keys,
                        uint32_t key_count, struct weir_error *reterr)
{
    struct weir_type *types;
    weir_status status;
    *sorter = (struct sorter){.exec = exec,
                              .operator= operator,
                              .type = type,
                              .record = {.variable = true, .key_offset = 8},
                              .keys = keys,
                              .key_count = key_count,
                              .key_offset = sizeof(struct sort_head),
                              .keep = UINT64_MAX};
    weir_arena_init(&sorter->arena, exec->account);
    weir_buffer_init(&sorter->bound, exec->account);
    pthread_mutex_init(&sorter->lock, NULL);
    WEIR_TRY_OUT(status, weir_arena_zero(&sorter->arena, type->child_count + 1, sizeof *types,
                                         &types, reterr));
    for (uint32_t i = 0; i < type->child_count; i++)
        types[i] = type->children[i].type;
    WEIR_TRY_OUT(status, weir_row_layout_init(&sorter->arena, types, type->child_count, 0, false,
                                              &sorter->layout, reterr));
    return WEIR_OK;
out:
    sorter_done(sorter);
    return status;
}

void sorter_done(struct sorter *sorter)
{
    while (sorter->parts) {
        struct sort_part *part = sorter->parts;
        sorter->parts = part->next;
        sort_part_free(part);
    }
    weir_free(sorter->entries);
    weir_free(sorter->runs);
    weir_spill_file_free(sorter->file);
    weir_buffer_done(&sorter->bound);
    weir_arena_done(&sorter->arena);
    pthread_mutex_destroy(&sorter->lock);
}

weir_status sort_part_new(struct sorter *sorter, size_t morsel, struct sort_part **ret_part,
                          struct weir_error *reterr)
{
    struct weir_account *account = sorter->exec->account;
    struct sort_part *part;
    if (morsel >> (64 - SORT_SEQUENCE_BIT))
        return weir_fail(reterr, WEIR_UNSUPPORTED, "a sort of more than %llu morsels",
                         1ull << (64 - SORT_SEQUENCE_BIT));
    WEIR_TRY(weir_alloc_zero(account, 1, sizeof *part, &part, reterr));
    part->morsel = morsel;
    weir_row_store_init(&part->store, account);
    weir_arena_init(&part->arena, account);
    weir_buffer_init(&part->bound, account);
    *ret_part = part;
    return WEIR_OK;
}

void sort_part_free(struct sort_part *part)
{
    if (!part)
        return;
    weir_account_release(part->arena.account, part->reserved);
    weir_row_store_done(&part->store);
    weir_arena_done(&part->arena);
    weir_buffer_done(&part->bound);
    weir_free(part);
}

/* ---- records ---- */

/* What a batch needs on its way into records; arrays of `count`. */
struct gathering {
    uint32_t count;
    uint32_t *key_sizes, *group_sizes, *row_sizes;
    uint32_t *rows;       /* NULL = all */
    uint8_t **key_places; /* TopN: keys already written */
    uint8_t **places;
    uint8_t **records;
};

static weir_status gathering_make(struct sorter *sorter, struct sort_part *part,
                                  const struct weir_batch *batch, struct gathering *ret,
                                  struct weir_error *reterr)
{
    struct weir_arena *arena = &part->arena;
    size_t count = (size_t)batch->count + 1;
    *ret = (struct gathering){.count = batch->count};
    WEIR_TRY(weir_arena_alloc(arena, count * sizeof(uint32_t), &ret->key_sizes, reterr));
    WEIR_TRY(weir_arena_alloc(arena, count * sizeof(uint32_t), &ret->row_sizes, reterr));
    WEIR_TRY(weir_arena_alloc(arena, count * sizeof(uint8_t *), &ret->places, reterr));
    WEIR_TRY(weir_arena_alloc(arena, count * sizeof(uint8_t *), &ret->records, reterr));
    WEIR_TRY(weir_sort_keys_size(sorter->keys, sorter->key_count, batch->columns, batch->count,
                                 ret->key_sizes, reterr));
    if (!sorter->grouped)
        return WEIR_OK;
    WEIR_TRY(weir_arena_alloc(arena, count * sizeof(uint32_t), &ret->group_sizes, reterr));
    return weir_sort_keys_size(sorter->keys, sorter->group_count, batch->columns, batch->count,
                               ret->group_sizes, reterr);
}

/* TopN: keys first, then only rows that may be among the first. */
static weir_status gather_top(struct sorter *sorter, struct sort_part *part,
                              const struct weir_batch *batch, struct gathering *gathering,
                              struct weir_error *reterr)
{
    uint64_t total = 0;
    uint8_t *keys;
    uint32_t count;
    for (uint32_t i = 0; i < batch->count; i++)
        total += sort_pad(gathering->key_sizes[i]) + 8;
    WEIR_TRY(weir_arena_zero(&part->arena, total, 1, &keys, reterr));
    WEIR_TRY(weir_arena_alloc(&part->arena, (batch->count + 1) * sizeof(uint8_t *),
                              &gathering->key_places, reterr));
    WEIR_TRY(weir_arena_alloc(&part->arena, (batch->count + 1) * sizeof(uint32_t), &gathering->rows,
                              reterr));
    for (uint32_t i = 0; i < batch->count; i++) {
        gathering->key_places[i] = keys;
        keys += sort_pad(gathering->key_sizes[i]) + 8;
    }
    weir_sort_keys_write(sorter->keys, sorter->key_count, batch->columns, batch->count,
                         gathering->key_places);
    WEIR_TRY(sort_top_filter(sorter, part, gathering->key_places, gathering->key_sizes,
                             batch->count, gathering->rows, &count, reterr));
    for (uint32_t i = 0; i < count; i++) {
        gathering->key_sizes[i] = gathering->key_sizes[gathering->rows[i]];
        gathering->key_places[i] = gathering->key_places[gathering->rows[i]];
    }
    gathering->count = count;
    return WEIR_OK;
}

static weir_status gather_room(struct sorter *sorter, struct sort_part *part,
                               const struct weir_batch *batch, struct gathering *gathering,
                               struct weir_error *reterr)
{
    uint32_t *sizes, count = gathering->count;
    size_t reserve = (size_t)count * SORT_ENTRY_BYTES;
    WEIR_TRY(weir_rows_size(&sorter->layout, batch->columns, gathering->rows, count,
                            gathering->row_sizes, reterr));
    WEIR_TRY(weir_arena_alloc(&part->arena, (count + 1) * sizeof *sizes, &sizes, reterr));
    for (uint32_t i = 0; i < count; i++)
        sizes[i] = sorter->key_offset + sort_pad(gathering->key_sizes[i]) + gathering->row_sizes[i];
    WEIR_TRY(weir_account_charge(sorter->exec->account, reserve, reterr));
    part->reserved += reserve;
    WEIR_TRY(weir_row_store_add_all(&part->store, sizes, count, gathering->records, reterr));
    uint64_t sequence = (uint64_t)part->morsel << SORT_SEQUENCE_BIT | part->row_next;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *record = gathering->records[i];
        uint32_t padded = sort_pad(gathering->key_sizes[i]);
        uint64_t group = gathering->group_sizes ? gathering->group_sizes[i] : 0;
        struct sort_head head = {sequence + (gathering->rows ? gathering->rows[i] : i), sizes[i],
                                 gathering->key_sizes[i]};
        memcpy(record, &head, sizeof head);
        if (sorter->grouped)
            memcpy(record + sizeof head, &group, sizeof group);
        if (padded)
            memset(record + sorter->key_offset + padded - 8, 0, 8);
        gathering->places[i] = record + sorter->key_offset;
    }
    return WEIR_OK;
}

static void note_common(struct sorter *sorter, struct sort_part *part,
                        const struct gathering *gathering)
{
    uint32_t i = 0;
    if (gathering->count && !part->first) {
        part->first = gathering->records[0];
        part->common = gathering->key_sizes[0] < SORT_COMMON_MAX ? gathering->key_sizes[0]
                                                                 : SORT_COMMON_MAX;
        i = 1;
    }
    for (; i < gathering->count && part->common; i++) {
        uint32_t size = gathering->key_sizes[i];
        part->common = sort_common(part->first + sorter->key_offset, gathering->places[i],
                                   size < part->common ? size : part->common);
    }
}

static weir_status gather(struct sorter *sorter, struct sort_part *part,
                          const struct weir_batch *batch, struct weir_error *reterr)
{
    struct gathering gathering;
    bool top = sorter->keep != UINT64_MAX;
    WEIR_TRY(gathering_make(sorter, part, batch, &gathering, reterr));
    if (top)
        WEIR_TRY(gather_top(sorter, part, batch, &gathering, reterr));
    WEIR_TRY(gather_room(sorter, part, batch, &gathering, reterr));
    if (top) {
        for (uint32_t i = 0; i < gathering.count; i++)
            memcpy(gathering.places[i], gathering.key_places[i], gathering.key_sizes[i]);
    } else {
        weir_sort_keys_write(sorter->keys, sorter->key_count, batch->columns, batch->count,
                             gathering.places);
        note_common(sorter, part, &gathering);
    }
    for (uint32_t i = 0; i < gathering.count; i++)
        gathering.places[i] += sort_pad(gathering.key_sizes[i]);
    weir_rows_write(&sorter->layout, batch->columns, gathering.rows, gathering.count,
                    gathering.places);
    part->row_next += batch->count;
    return WEIR_OK;
}

/* The lock is held. */
static void meet_common(struct sorter *sorter, struct sort_part *part)
{
    if (!part->first || sorter->keep != UINT64_MAX)
        return;
    const uint8_t *key = part->first + sorter->key_offset;
    if (!sorter->seen)
        memcpy(sorter->common_key, key, part->common);
    sorter->common = sorter->seen ? sort_common(sorter->common_key, key,
                                                part->common < sorter->common ? part->common
                                                                              : sorter->common)
                                  : part->common;
    sorter->seen = true;
}

/* ---- when memory is short ---- */

static uint64_t run_least(const struct sorter *sorter)
{
    const struct exec *exec = sorter->exec;
    uint64_t limit = exec->account->limit, threads = (uint64_t)exec->context->thread_count,
             least = limit ? limit / 16 / threads : RUN_ENOUGH;
    return least < RUN_LEAST ? RUN_LEAST : least > RUN_ENOUGH ? RUN_ENOUGH : least;
}

static weir_status relieve(struct sorter *sorter, struct sort_part *part, struct weir_error *reterr)
{
    uint64_t least = run_least(sorter);
    weir_status status = WEIR_OK;
    if (!sorter->exec->options->spill || !exec_should_spill(sorter->exec))
        return WEIR_OK;
    pthread_mutex_lock(&sorter->lock);
    if (sorter->held >= least) {
        status = sort_spill(sorter, sorter->parts, reterr);
        sorter->held = sorter->held_rows = 0;
        while (status == WEIR_OK && sorter->parts) {
            struct sort_part *done = sorter->parts;
            sorter->parts = done->next;
            sort_part_free(done);
        }
    }
    if (status == WEIR_OK && part->store.byte_count >= least && exec_should_spill(sorter->exec)) {
        meet_common(sorter, part);
        status = sort_spill(sorter, part, reterr);
    }
    pthread_mutex_unlock(&sorter->lock);
    return status;
}

weir_status sort_part_add(struct sorter *sorter, struct sort_part *part,
                          const struct weir_batch *batch, struct weir_error *reterr)
{
    if (sorter->keep == 0 || batch->count == 0)
        return WEIR_OK;
    if ((part->row_next + batch->count) >> SORT_SEQUENCE_BIT)
        return weir_fail(reterr, WEIR_UNSUPPORTED, "a sort of more than %llu rows of one morsel",
                         1ull << SORT_SEQUENCE_BIT);
    weir_status status = gather(sorter, part, batch, reterr);
    weir_arena_reset(&part->arena);
    WEIR_TRY(status);
    if (sorter->keep != UINT64_MAX && part->store.row_count > sorter->keep * 2 + 2048)
        WEIR_TRY(sort_top_cut(sorter, part, false, reterr));
    return relieve(sorter, part, reterr);
}

/* The lock is held. TopN: what the morsels left is cut together now and then. */
static weir_status cut_together(struct sorter *sorter, struct weir_error *reterr)
{
    if (sorter->keep == UINT64_MAX || sorter->held_rows <= sorter->keep * 4 + 8192)
        return WEIR_OK;
    WEIR_TRY(sort_top_cut(sorter, sorter->parts, true, reterr));
    struct sort_part *rest = sorter->parts->next;
    sorter->parts->next = NULL;
    while (rest) {
        struct sort_part *done = rest;
        rest = done->next;
        sort_part_free(done);
    }
    sorter->held = sorter->parts->store.byte_count;
    sorter->held_rows = sorter->parts->store.row_count;
    return WEIR_OK;
}

weir_status sort_part_end(struct sorter *sorter, struct sort_part *part, struct weir_error *reterr)
{
    weir_status status = WEIR_OK;
    weir_arena_done(&part->arena);
    if (part->store.row_count == 0) {
        sort_part_free(part);
        return WEIR_OK;
    }
    pthread_mutex_lock(&sorter->lock);
    meet_common(sorter, part);
    part->next = sorter->parts;
    sorter->parts = part;
    sorter->held += part->store.byte_count;
    sorter->held_rows += part->store.row_count;
    status = cut_together(sorter, reterr);
    pthread_mutex_unlock(&sorter->lock);
    return status;
}

weir_status sorter_finish(struct sorter *sorter, struct weir_error *reterr)
{
    if (sorter->operator)
        atomic_store(&sorter->operator->counters.memory_peak,
                     sorter->held + sorter->held_rows * SORT_ENTRY_BYTES);
    if (sorter->run_count) {
        if (sorter->parts)
            WEIR_TRY(sort_spill(sorter, sorter->parts, reterr));
        WEIR_TRY(weir_spill_finish(sorter->file, reterr));
        return sort_runs_reduce(sorter, reterr);
    }
    return sort_parts(sorter, sorter->parts, sorter->common, true, &sorter->entries,
                      &sorter->entry_count, reterr);
}

weir_status sort_read(const struct sorter *sorter, uint8_t *const *places, uint32_t count,
                      struct weir_arena *arena, struct weir_batch *ret_batch,
                      struct weir_error *reterr)
{
    struct weir_vector *columns;
    uint32_t column_count = sorter->layout.count;
    WEIR_TRY(weir_arena_zero(arena, column_count + 1, sizeof *columns, &columns, reterr));
    for (uint32_t i = 0; i < column_count; i++)
        WEIR_TRY(weir_rows_read(&sorter->layout, i, places, count, arena, &columns[i], reterr));
    *ret_batch = (struct weir_batch){.type = sorter->type, .count = count, .columns = columns};
    return WEIR_OK;
}

/* ---- the source ---- */

struct sort_sink {
    struct exec_sink sink;
    struct sorter sorter;
};

struct sort_source {
    struct exec_source source;
    struct sorter *sorter;
    uint64_t first, count; /* rows to give; count UINT64_MAX: to the end */
};

struct sort_reader {
    struct sort_source *source;
    uint64_t at, end;         /* entries; or rows passed */
    struct sort_merge *merge; /* NULL: in memory */
};

static size_t sort_morsels(const struct exec_source *opaque)
{
    const struct sort_source *source = (const struct sort_source *)opaque;
    if (source->sorter->run_count)
        return source->count > 0;
    return (size_t)((source->count + SORT_MORSEL_ROWS - 1) / SORT_MORSEL_ROWS);
}

static weir_status sort_open(struct exec_source *opaque, size_t morsel,
                             struct exec_reader **ret_reader, struct weir_error *reterr)
{
    struct sort_source *source = (struct sort_source *)opaque;
    struct sorter *sorter = source->sorter;
    struct sort_reader *reader;
    WEIR_TRY(weir_alloc_zero(opaque->exec->account, 1, sizeof *reader, &reader, reterr));
    reader->source = source;
    if (sorter->run_count) {
        weir_status status = sort_merge_new(sorter, sorter->file, sorter->runs, sorter->run_count,
                                            &reader->merge, reterr);
        if (status != WEIR_OK) {
            weir_free(reader);
            return status;
        }
    } else {
        uint64_t left = source->count - morsel * SORT_MORSEL_ROWS;
        reader->at = source->first + morsel * SORT_MORSEL_ROWS;
        reader->end = reader->at + (left < SORT_MORSEL_ROWS ? left : SORT_MORSEL_ROWS);
    }
    *ret_reader = (struct exec_reader *)reader;
    return WEIR_OK;
}

static weir_status next_merged(struct sort_reader *reader, struct weir_arena *arena,
                               uint8_t **places, uint32_t rows, uint32_t *ret_count,
                               struct weir_error *reterr)
{
    const struct sort_source *source = reader->source;
    uint32_t count = 0;
    while (count < rows) {
        uint8_t *record, *payload;
        if (source->count != UINT64_MAX && reader->at >= source->first + source->count)
            break;
        WEIR_TRY(sort_merge_next(reader->merge, &record, reterr));
        if (!record)
            break;
        if (reader->at++ < source->first)
            continue;
        payload = sort_payload(source->sorter, record);
        size_t size = sort_head(record)->size - (size_t)(payload - record);
        WEIR_TRY(weir_arena_alloc(arena, size, &places[count], reterr));
        memcpy(places[count++], payload, size);
    }
    *ret_count = count;
    return WEIR_OK;
}

static weir_status sort_next(struct exec_reader *opaque, struct weir_arena *arena,
                             struct weir_batch *ret_batch, struct weir_error *reterr)
{
    struct sort_reader *reader = (struct sort_reader *)opaque;
    const struct sorter *sorter = reader->source->sorter;
    uint32_t rows = sorter->exec->batch_rows, count = 0;
    uint8_t **places;
    WEIR_TRY(weir_arena_alloc(arena, (rows + 1) * sizeof *places, &places, reterr));
    if (reader->merge)
        WEIR_TRY(next_merged(reader, arena, places, rows, &count, reterr));
    for (; !reader->merge && count < rows && reader->at < reader->end; reader->at++) {
        if (reader->at + 16 < reader->end)
            __builtin_prefetch(sorter->entries[reader->at + 16].record);
        places[count++] = sort_payload(sorter, sorter->entries[reader->at].record);
    }
    return count ? sort_read(sorter, places, count, arena, ret_batch, reterr) : WEIR_OK;
}

static void sort_close(struct exec_reader *opaque)
{
    struct sort_reader *reader = (struct sort_reader *)opaque;
    if (!reader)
        return;
    sort_merge_free(reader->merge);
    weir_free(reader);
}

static void sort_source_free(struct exec_source *source)
{
    weir_free(source);
}

static const struct exec_source_operations source_operations = {.morsel_count = sort_morsels,
                                                                .open = sort_open,
                                                                .next = sort_next,
                                                                .close = sort_close,
                                                                .free = sort_source_free};

/* ---- the sink ---- */

static weir_status sort_begin(struct exec_sink *opaque, size_t morsel, void **ret_local,
                              struct weir_error *reterr)
{
    struct sort_part *part;
    WEIR_TRY(sort_part_new(&((struct sort_sink *)opaque)->sorter, morsel, &part, reterr));
    *ret_local = part;
    return WEIR_OK;
}

static weir_status sort_batch(struct exec_sink *opaque, void *local, const struct weir_batch *batch,
                              struct weir_error *reterr)
{
    return sort_part_add(&((struct sort_sink *)opaque)->sorter, local, batch, reterr);
}

static weir_status sort_end(struct exec_sink *opaque, void *local, struct weir_error *reterr)
{
    return sort_part_end(&((struct sort_sink *)opaque)->sorter, local, reterr);
}

static void sort_abandon(struct exec_sink *opaque, void *local)
{
    (void)opaque;
    sort_part_free(local);
}

static weir_status sort_finish(struct exec_sink *opaque, struct exec_source **ret_source,
                               struct weir_error *reterr)
{
    struct sorter *sorter = &((struct sort_sink *)opaque)->sorter;
    const struct weir_operator *operator= opaque->operator;
    struct sort_source *source;
    uint64_t skip = operator->offset> 0 ? (uint64_t) operator->offset : 0;
    WEIR_TRY(sorter_finish(sorter, reterr));
    WEIR_TRY(weir_alloc_zero(opaque->exec->account, 1, sizeof *source, &source, reterr));
    source->source = (struct exec_source){
        .operations = &source_operations, .exec = opaque->exec, .operator= opaque->operator};
    source->sorter = sorter;
    source->first = skip;
    source->count = operator->limit >= 0 ? (uint64_t) operator->limit : UINT64_MAX;
    if (!sorter->run_count) {
        uint64_t left = sorter->entry_count > skip ? sorter->entry_count - skip : 0;
        source->count = source->count < left ? source->count : left;
    }
    *ret_source = &source->source;
    return WEIR_OK;
}

static void sort_free(struct exec_sink *opaque)
{
    struct sort_sink *sink = (struct sort_sink *)opaque;
    if (!sink)
        return;
    sorter_done(&sink->sorter);
    weir_free(sink);
}

static const struct exec_sink_operations sink_operations = {.begin = sort_begin,
                                                            .batch = sort_batch,
                                                            .end = sort_end,
                                                            .abandon = sort_abandon,
                                                            .finish = sort_finish,
                                                            .free = sort_free};

weir_status exec_sort_new(struct exec *exec, struct weir_operator *operator,
                          struct exec_sink ** ret_sink, struct weir_error *reterr)
{
    struct sort_sink *sink;
    uint64_t skip = operator->offset> 0 ? (uint64_t) operator->offset : 0;
    WEIR_TRY(weir_alloc_zero(exec->account, 1, sizeof *sink, &sink, reterr));
    sink->sink = (struct exec_sink){
        .operations = &sink_operations, .exec = exec, .operator= operator};
    weir_status status = sorter_init(
        &sink->sorter,
        exec, operator, & operator->type, operator->sort_keys, operator->sort_key_count, reterr);
    if (status != WEIR_OK) {
        weir_free(sink);
        return status;
    }
    if (operator->limit >= 0 && skip <= SORT_KEEP_MAX &&(uint64_t) operator->limit <=
        SORT_KEEP_MAX - skip)
        sink->sorter.keep = skip + (uint64_t) operator->limit;
    *ret_sink = &sink->sink;
    return WEIR_OK;
}
