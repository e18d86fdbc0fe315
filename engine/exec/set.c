/* INTERSECT and EXCEPT, each [ALL]: rows of both sides are gathered by partition of their hash, as
 * in a join; each partition counts its distinct rows of the left side, in order of their first
 * place. A partition is a morsel of the result. Short of memory, rows go to a file, and a partition
 * is read as often as needed, a share of its hashes at a time. */
#include "engine/exec/join_int.h"

struct set_row {
    struct join_row row;
    uint64_t left, right; /* how often in each side */
};

struct set {
    struct exec_sink sink;
    struct weir_arena arena;
    struct weir_row_layout layout;
    uint32_t side;
    pthread_mutex_t lock;
    struct join_parts parts;
    uint8_t **rows; /* in memory: in order */
    uint64_t starts[JOIN_PARTITIONS + 1];
    atomic_bool spilling;
    struct join_file file;
};

struct set_local {
    struct join_part *part;
    struct weir_arena arena;
    uint32_t side, sequence;
};

static struct set_row *set_row(uint8_t *place)
{
    return (struct set_row *)(void *)place;
}

/* ---- the sink ---- */

static void local_free(struct set_local *local)
{
    if (!local)
        return;
    join_part_free(local->part);
    weir_arena_done(&local->arena);
    weir_free(local);
}

static weir_status set_begin(struct exec_sink *opaque, size_t morsel, void **ret_local,
                             struct weir_error *reterr)
{
    struct weir_account *account = opaque->exec->account;
    struct set_local *local;
    WEIR_TRY(weir_alloc_zero(account, 1, sizeof *local, &local, reterr));
    weir_arena_init(&local->arena, account);
    local->side = ((struct set *)opaque)->side;
    weir_status status = weir_alloc_zero(account, 1, sizeof *local->part, &local->part, reterr);
    if (status != WEIR_OK) {
        local_free(local);
        return status;
    }
    weir_row_store_init(&local->part->store, account);
    local->part->morsel = morsel;
    *ret_local = local;
    return WEIR_OK;
}

static weir_status append(const struct set *set, struct set_local *local,
                          const struct weir_batch *batch, struct weir_error *reterr)
{
    struct weir_arena *arena = &local->arena;
    uint32_t count = batch->count, *sizes;
    uint64_t *hashes;
    uint8_t **places;
    weir_arena_reset(arena);
    WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof *hashes, &hashes, reterr));
    WEIR_TRY(weir_arena_alloc(arena, (count + 1) * sizeof *sizes, &sizes, reterr));
    WEIR_TRY(weir_arena_alloc(arena, (count + 1) * sizeof *places, &places, reterr));
    for (uint32_t c = 0; c < set->layout.count; c++)
        weir_vector_hash(&batch->columns[c], count, c > 0, hashes);
    WEIR_TRY(weir_rows_size(&set->layout, batch->columns, NULL, count, sizes, reterr));
    WEIR_TRY(weir_row_store_add_all(&local->part->store, sizes, count, places, reterr));
    weir_rows_write(&set->layout, batch->columns, NULL, count, places);
    for (uint32_t i = 0; i < count; i++) {
        struct set_row *row = set_row(places[i]);
        row->row.hash = join_hash_long(hashes[i]);
        atomic_init(&row->row.next, 0);
        row->left = local->side == 0;
        row->right = local->side != 0;
        local->part->counts[join_partition_of(row->row.hash)]++;
    }
    return WEIR_OK;
}

static weir_status start_spilling(struct set *set, struct weir_error *reterr)
{
    weir_status status = WEIR_OK;
    pthread_mutex_lock(&set->lock);
    atomic_store(&set->spilling, true);
    for (size_t i = 0; i < set->parts.capacity && status == WEIR_OK; i++) {
        struct join_part *part = set->parts.parts[i];
        uint32_t sequence = 0;
        if (!part)
            continue;
        status = join_file_write(&set->file, &part->store, part->morsel, &sequence, reterr);
        join_part_free(part);
        set->parts.parts[i] = NULL;
    }
    pthread_mutex_unlock(&set->lock);
    return status;
}

static weir_status set_batch(struct exec_sink *opaque, void *opaque_local,
                             const struct weir_batch *batch, struct weir_error *reterr)
{
    struct set *set = (struct set *)opaque;
    struct set_local *local = opaque_local;
    WEIR_TRY(append(set, local, batch, reterr));
    if (!atomic_load_explicit(&set->spilling, memory_order_relaxed)) {
        if (!exec_should_spill(opaque->exec))
            return WEIR_OK;
        WEIR_TRY(start_spilling(set, reterr));
    }
    if (local->part->store.byte_count < join_flush_bytes(opaque->exec))
        return WEIR_OK;
    return join_file_write(&set->file, &local->part->store, local->part->morsel, &local->sequence,
                           reterr);
}

static weir_status set_end(struct exec_sink *opaque, void *opaque_local, struct weir_error *reterr)
{
    struct set *set = (struct set *)opaque;
    struct set_local *local = opaque_local;
    weir_status status = WEIR_OK;
    pthread_mutex_lock(&set->lock);
    bool spilling = atomic_load(&set->spilling);
    if (!spilling && local->part->store.row_count) {
        atomic_fetch_add(&opaque->operator->counters.memory_peak, local->part->store.byte_count);
        status = join_parts_add(&set->parts, opaque->exec->account, local->part, reterr);
        local->part = NULL;
    }
    pthread_mutex_unlock(&set->lock);
    if (spilling)
        status = join_file_write(&set->file, &local->part->store, local->part->morsel,
                                 &local->sequence, reterr);
    local_free(local);
    return status;
}

static void set_abandon(struct exec_sink *opaque, void *local)
{
    local_free(local);
}

static void set_free(struct exec_sink *opaque)
{
    struct set *set = (struct set *)opaque;
    if (!set)
        return;
    weir_free(set->rows);
    join_parts_done(&set->parts);
    join_file_done(&set->file);
    pthread_mutex_destroy(&set->lock);
    weir_arena_done(&set->arena);
    weir_free(set);
}

/* ---- the result: a partition a morsel ---- */

struct set_source {
    struct exec_source source;
    struct set *set;
};

struct set_reader {
    struct set *set;
    uint32_t partition;
    struct weir_row_store store; /* rows of the left side, from the file */
    uint64_t *directory;
    uint64_t directory_size, entry_count;
    uint8_t **entries; /* distinct left rows in order */
    uint64_t entry_capacity, at, copies;
    uint32_t passes, pass;
    uint8_t **places; /* batch_rows */
    struct join_file_reader file;
};

static size_t set_morsels(const struct exec_source *source)
{
    return JOIN_PARTITIONS;
}

static void reader_close(struct exec_reader *opaque)
{
    struct set_reader *reader = (struct set_reader *)opaque;
    if (!reader)
        return;
    weir_row_store_done(&reader->store);
    weir_buffer_done(&reader->file.buffer);
    weir_free(reader->directory);
    weir_free(reader->entries);
    weir_free(reader->places);
    weir_free(reader);
}

static weir_status reader_open(struct exec_source *opaque, size_t morsel,
                               struct exec_reader **ret_reader, struct weir_error *reterr)
{
    struct set *set = ((struct set_source *)opaque)->set;
    struct weir_account *account = opaque->exec->account;
    struct set_reader *reader;
    WEIR_TRY(weir_alloc_zero(account, 1, sizeof *reader, &reader, reterr));
    weir_row_store_init(&reader->store, account);
    reader->set = set;
    reader->partition = (uint32_t)morsel;
    reader->passes = 1;
    if (atomic_load(&set->spilling)) {
        uint64_t bytes = join_file_bytes(&set->file, reader->partition);
        reader->file = (struct join_file_reader){.file = &set->file,
                                                 .partition = reader->partition};
        while (bytes / reader->passes > join_chunk_bytes(opaque->exec) && reader->passes < 1u << 16)
            reader->passes *= 2;
    }
    weir_status status = weir_alloc(account, opaque->exec->batch_rows * sizeof *reader->places,
                                    &reader->places, reterr);
    if (status == WEIR_OK)
        *ret_reader = (struct exec_reader *)reader;
    else
        reader_close((struct exec_reader *)reader);
    return status;
}

static uint64_t *find_slot(const struct set_reader *reader, const uint8_t *place, uint64_t hash)
{
    const struct weir_row_layout *layout = &reader->set->layout;
    uint64_t mask = reader->directory_size - 1, at = hash & mask;
    for (;; at = (at + 1) & mask) {
        uint8_t *other = (uint8_t *)(uintptr_t)reader->directory[at];
        if (!other || (join_row(other)->hash == hash && weir_rows_equal(layout, other, place)))
            return &reader->directory[at];
    }
}

static weir_status grow(struct set_reader *reader, struct weir_error *reterr)
{
    struct weir_account *account = reader->set->sink.exec->account;
    if (reader->entry_count < reader->entry_capacity)
        return WEIR_OK;
    uint64_t capacity = reader->entry_capacity ? reader->entry_capacity * 2 : 64, *directory;
    WEIR_TRY(weir_realloc(&reader->entries, account, capacity * sizeof *reader->entries, reterr));
    WEIR_TRY(weir_alloc_zero(account, capacity * 2, sizeof *directory, &directory, reterr));
    weir_free(reader->directory);
    reader->directory = directory;
    reader->directory_size = capacity * 2;
    reader->entry_capacity = capacity;
    for (uint64_t i = 0; i < reader->entry_count; i++)
        *find_slot(reader, reader->entries[i],
                   join_row(reader->entries[i])->hash) = (uintptr_t)reader->entries[i];
    return WEIR_OK;
}

/* Counts one row. keep: it must be copied to stay. All left rows come before all right ones. */
static weir_status count_row(struct set_reader *reader, uint8_t *place, bool keep,
                             struct weir_error *reterr)
{
    WEIR_TRY(grow(reader, reterr));
    uint64_t *slot = find_slot(reader, place, join_row(place)->hash);
    if (*slot) {
        struct set_row *row = set_row((uint8_t *)(uintptr_t)*slot);
        row->left += set_row(place)->left;
        row->right += set_row(place)->right;
        return WEIR_OK;
    }
    if (!set_row(place)->left)
        return WEIR_OK;
    if (keep) {
        uint32_t size = weir_row_size(&reader->set->layout, place);
        uint8_t *copy;
        WEIR_TRY(weir_row_store_add(&reader->store, size, &copy, reterr));
        memcpy(copy, place, size);
        place = copy;
    }
    *slot = (uintptr_t)place;
    reader->entries[reader->entry_count++] = place;
    return WEIR_OK;
}

static weir_status count_file(struct set_reader *reader, struct weir_error *reterr)
{
    uint32_t most = reader->set->sink.exec->batch_rows, count;
    join_file_rewind(&reader->file);
    do {
        WEIR_TRY(weir_context_check(reader->set->sink.exec->context, reterr));
        WEIR_TRY(join_file_read(&reader->file, most, reader->places, &count, reterr));
        for (uint32_t i = 0; i < count; i++)
            if ((join_row(reader->places[i])->hash >> 32 & (reader->passes - 1)) == reader->pass)
                WEIR_TRY(count_row(reader, reader->places[i], true, reterr));
    } while (count);
    return WEIR_OK;
}

static weir_status next_pass(struct set_reader *reader, struct weir_error *reterr)
{
    struct set *set = reader->set;
    reader->at = reader->copies = reader->entry_count = 0;
    if (reader->directory)
        memset(reader->directory, 0, reader->directory_size * sizeof *reader->directory);
    if (atomic_load(&set->spilling)) {
        struct weir_account *account = reader->store.account;
        weir_row_store_done(&reader->store);
        weir_row_store_init(&reader->store, account);
        WEIR_TRY(count_file(reader, reterr));
    } else {
        for (uint64_t i = set->starts[reader->partition]; i < set->starts[reader->partition + 1];
             i++)
            WEIR_TRY(count_row(reader, set->rows[i], false, reterr));
    }
    reader->pass++;
    return WEIR_OK;
}

/* How often a row is in the result. */
static uint64_t copies_of(const struct weir_operator *operator, const struct set_row * row)
{
    if (operator->except && operator->all)
        return row->left > row->right ? row->left - row->right : 0;
    if (operator->except)
        return row->right == 0;
    if (operator->all)
        return row->left < row->right ? row->left : row->right;
    return row->right > 0;
}

static weir_status give_rows(const struct set_reader *reader, uint32_t count,
                             struct weir_arena *arena, struct weir_batch *ret_batch,
                             struct weir_error *reterr)
{
    const struct set *set = reader->set;
    struct weir_batch batch = {.type = &set->sink.operator->type, .count = count};
    WEIR_TRY(weir_arena_zero(arena, set->layout.count + 1, sizeof *batch.columns, &batch.columns,
                             reterr));
    for (uint32_t c = 0; c < set->layout.count; c++) {
        WEIR_TRY(weir_rows_read(&set->layout, c, reader->places, count, arena, &batch.columns[c],
                                reterr));
        batch.columns[c].type = &set->sink.operator->type.children[c].type;
    }
    *ret_batch = batch;
    return WEIR_OK;
}

static weir_status reader_next(struct exec_reader *opaque, struct weir_arena *arena,
                               struct weir_batch *ret_batch, struct weir_error *reterr)
{
    struct set_reader *reader = (struct set_reader *)opaque;
    const struct weir_operator *operator= reader->set->sink.operator;
    uint32_t most = reader->set->sink.exec->batch_rows, count = 0;
    while (count < most) {
        if (reader->at == reader->entry_count) {
            if (count || reader->pass == reader->passes)
                break;
            WEIR_TRY(next_pass(reader, reterr));
            continue;
        }
        uint8_t *place = reader->entries[reader->at];
        uint64_t copies = copies_of(operator, set_row(place));
        for (; reader->copies < copies && count < most; reader->copies++)
            reader->places[count++] = place;
        if (reader->copies < copies)
            break;
        reader->at++;
        reader->copies = 0;
    }
    if (count)
        return give_rows(reader, count, arena, ret_batch, reterr);
    *ret_batch = (struct weir_batch){0};
    return WEIR_OK;
}

static void source_free(struct exec_source *source)
{
    weir_free(source);
}

static const struct exec_source_operations source_operations = {.morsel_count = set_morsels,
                                                                .open = reader_open,
                                                                .next = reader_next,
                                                                .close = reader_close,
                                                                .free = source_free};

static weir_status set_finish(struct exec_sink *opaque, struct exec_source **ret_source,
                              struct weir_error *reterr)
{
    struct set *set = (struct set *)opaque;
    struct set_source *source;
    if (atomic_load(&set->spilling))
        WEIR_TRY(join_file_finish(&set->file, reterr));
    else
        WEIR_TRY(join_parts_order(&set->parts, &set->layout, opaque->exec->context,
                                  opaque->exec->account, &set->rows, set->starts, reterr));
    WEIR_TRY(weir_alloc_zero(opaque->exec->account, 1, sizeof *source, &source, reterr));
    source->source = (struct exec_source){
        .operations = &source_operations, .exec = opaque->exec, .operator= opaque->operator};
    source->set = set;
    *ret_source = &source->source;
    return WEIR_OK;
}

static const struct exec_sink_operations set_operations = {.begin = set_begin,
                                                           .batch = set_batch,
                                                           .end = set_end,
                                                           .abandon = set_abandon,
                                                           .finish = set_finish,
                                                           .free = set_free};

void exec_set_side(struct exec_sink *sink, uint32_t child)
{
    ((struct set *)sink)->side = child;
}

weir_status exec_set_new(struct exec *exec, struct weir_operator *operator,
                         struct exec_sink ** ret_sink, struct weir_error *reterr)
{
    struct set *set;
    struct weir_type *types;
    weir_status status;
    WEIR_TRY(weir_alloc_zero(exec->account, 1, sizeof *set, &set, reterr));
    set->sink = (struct exec_sink){
        .operations = &set_operations, .exec = exec, .operator= operator};
    weir_arena_init(&set->arena, exec->account);
    pthread_mutex_init(&set->lock, NULL);
    uint32_t count = operator->type.child_count;
    WEIR_TRY_OUT(status, weir_arena_zero(&set->arena, count + 1, sizeof *types, &types, reterr));
    for (uint32_t c = 0; c < count; c++)
        types[c] = operator->type.children[c].type;
    WEIR_TRY_OUT(status, weir_row_layout_init(&set->arena, types, count, sizeof(struct set_row),
                                              true, &set->layout, reterr));
    join_file_init(&set->file, exec, operator, & set->layout, JOIN_PARTITIONS);
    *ret_sink = &set->sink;
    return WEIR_OK;
out:
    set_free(&set->sink);
    return status;
}
