/* The build side of a join: gathers children[1]'s rows, and tells scans what keys there are. */
#include "engine/exec/join_int.h"

#include "engine/base/text.h"

#define IN_MOST 64 /* keys of an IN list for scans */

struct build_local {
    struct join *join;
    struct join_part *part;
    struct weir_arena arena;
    struct join_range *ranges;
    uint64_t row_count;
    uint32_t sequence;
    bool null_seen;
};

/* ---- what is kept ---- */

static bool kind_keeps_nulls(enum weir_join_kind kind)
{
    return kind == WEIR_JOIN_RIGHT || kind == WEIR_JOIN_FULL || kind == WEIR_JOIN_RIGHT_ANTI ||
           kind == WEIR_JOIN_MARK;
}

static void read_kind(struct join *join)
{
    const struct weir_operator *operator= join->sink.operator;
    enum weir_join_kind kind = operator->join;
    join->keeps_nulls = kind_keeps_nulls(kind);
    join->marks_build = kind == WEIR_JOIN_RIGHT || kind == WEIR_JOIN_FULL ||
                        kind == WEIR_JOIN_RIGHT_SEMI || kind == WEIR_JOIN_RIGHT_ANTI;
    join->gives_pairs = kind == WEIR_JOIN_INNER || kind == WEIR_JOIN_LEFT ||
                        kind == WEIR_JOIN_RIGHT || kind == WEIR_JOIN_FULL ||
                        kind == WEIR_JOIN_SINGLE;
    join->once = kind == WEIR_JOIN_SEMI || kind == WEIR_JOIN_ANTI || kind == WEIR_JOIN_MARK;
    bool plain = join->key_count == 1 &&
                 !operator->filter &&(!operator->null_safe || !operator->null_safe[0]);
    join->mark_general = kind == WEIR_JOIN_MARK && join->key_count && !plain;
}

static bool note_need(void *self, const struct weir_node *node)
{
    struct join *join = self;
    if (node->kind == WEIR_NODE_COLUMN && node->index < join->left_count + join->right_count)
        weir_bit_set(join->needs, node->index);
    if (node->kind != WEIR_NODE_LAMBDA)
        return true;
    for (uint32_t i = 0; i < node->capture_count; i++)
        weir_node_walk(node->captures[i], note_need, self);
    return false;
}

static weir_status make_joined(struct join *join, struct weir_error *reterr)
{
    const struct weir_operator *operator= join->sink.operator;
    const struct weir_type *left = &operator->children[0]->type, *right;
    right = &operator->children[1]->type;
    join->left_count = left->child_count;
    join->right_count = right->child_count;
    uint32_t count = join->left_count + join->right_count;
    join->joined = (struct weir_type){.id = WEIR_STRUCT, .child_count = count};
    WEIR_TRY(weir_arena_zero(&join->arena, count + 1, sizeof *join->joined.children,
                             &join->joined.children, reterr));
    if (join->left_count)
        memcpy(join->joined.children, left->children, join->left_count * sizeof *left->children);
    if (join->right_count)
        memcpy(join->joined.children + join->left_count, right->children,
               join->right_count * sizeof *right->children);
    WEIR_TRY(weir_arena_zero(&join->arena, count / 8 + 1, 1, &join->needs, reterr));
    if (operator->filter)
        weir_node_walk(operator->filter, note_need, join);
    return WEIR_OK;
}

static bool has_own_form(enum weir_type_id id)
{
    return id == WEIR_FLOAT || id == WEIR_DOUBLE || id == WEIR_INTERVAL || weir_type_is_nested(id);
}

/* Keys that are plain columns are not kept twice. */
static void share_key(struct join *join, uint32_t key)
{
    const struct weir_node *node = join->sink.operator->right_keys[key];
    if (node->kind == WEIR_NODE_COLUMN && !has_own_form(node->type.id) &&
        node->index < join->right_count && join->stored[node->index] == JOIN_NOWHERE)
        join->stored[node->index] = key;
}

static weir_status make_layout(struct join *join, struct weir_error *reterr)
{
    const struct weir_operator *operator= join->sink.operator;
    struct weir_type *types;
    bool gives_build = join->gives_pairs || join->marks_build;
    uint32_t keys = join->key_count;
    WEIR_TRY(
        weir_arena_zero(&join->arena, keys + join->right_count + 1, sizeof *types, &types, reterr));
    WEIR_TRY(weir_arena_alloc(&join->arena, (join->right_count + 1) * sizeof *join->stored,
                              &join->stored, reterr));
    WEIR_TRY(weir_arena_alloc(&join->arena, (join->right_count + 1) * sizeof *join->payload,
                              &join->payload, reterr));
    memset(join->stored, 0xff, join->right_count * sizeof *join->stored);
    for (uint32_t k = 0; k < keys; k++) {
        types[k] = operator->right_keys[k]->type;
        if (weir_type_is_nested(types[k].id))
            types[k] = (struct weir_type){.id = WEIR_BINARY};
        share_key(join, k);
    }
    for (uint32_t c = 0; c < join->right_count; c++) {
        if (join->stored[c] != JOIN_NOWHERE ||
            !(gives_build || weir_bit_get(join->needs, join->left_count + c)))
            continue;
        join->stored[c] = keys + join->payload_count;
        types[keys + join->payload_count] = operator->children[1]->type.children[c].type;
        join->payload[join->payload_count++] = c;
    }
    join->key_types = types;
    return weir_row_layout_init(&join->arena, types, keys + join->payload_count,
                                sizeof(struct join_row), false, &join->layout, reterr);
}

/* ---- ranges of integer keys ---- */

static bool has_range(const struct weir_type *type)
{
    switch (type->id) {
    case WEIR_INT:
    case WEIR_LONG:
    case WEIR_DATE:
    case WEIR_TIME:
    case WEIR_TIMESTAMP:
    case WEIR_TIMESTAMPTZ:
    case WEIR_DECIMAL: return true;
    default: return false;
    }
}

static void range_start(struct join_range *range, const struct weir_type *type)
{
    uint32_t width = weir_type_width(type);
    range->known = has_range(type);
    range->low = width == 4 ? INT32_MAX : INT64_MAX;
    range->high = width == 4 ? INT32_MIN : INT64_MIN;
    if (type->id == WEIR_DECIMAL) {
        range->low = 1;
        for (int i = 0; i < type->precision; i++)
            range->low *= 10;
        range->low--;
        range->high = -range->low;
    }
}

static void range_widen(struct join_range *range, __int128 low, __int128 high)
{
    range->low = low < range->low ? low : range->low;
    range->high = high > range->high ? high : range->high;
}

static void range_add(struct join_range *range, const struct weir_vector *value, uint32_t count)
{
    uint32_t width = weir_type_width(value->type);
    if (!value->validity && width == 8 && count) {
        const int64_t *values = value->values;
        int64_t low = values[0], high = values[0];
        for (uint32_t i = 1; i < count; i++) {
            low = values[i] < low ? values[i] : low;
            high = values[i] > high ? values[i] : high;
        }
        range_widen(range, low, high);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!weir_vector_valid(value, i))
            continue;
        __int128 one = width == 4   ? ((const int32_t *)value->values)[i]
                       : width == 8 ? ((const int64_t *)value->values)[i]
                                    : ((const __int128 *)value->values)[i];
        range_widen(range, one, one);
    }
}

/* ---- the sink ---- */

static void local_free(struct build_local *local)
{
    if (!local)
        return;
    join_part_free(local->part);
    weir_arena_done(&local->arena);
    weir_free(local->ranges);
    weir_free(local);
}

static weir_status build_begin(struct exec_sink *opaque, size_t morsel, void **ret_local,
                               struct weir_error *reterr)
{
    struct join *join = (struct join *)opaque;
    struct weir_account *account = opaque->exec->account;
    struct build_local *local;
    weir_status status;
    WEIR_TRY(weir_alloc_zero(account, 1, sizeof *local, &local, reterr));
    local->join = join;
    weir_arena_init(&local->arena, account);
    WEIR_TRY_OUT(status, weir_alloc_zero(account, 1, sizeof *local->part, &local->part, reterr));
    weir_row_store_init(&local->part->store, account);
    local->part->morsel = morsel;
    WEIR_TRY_OUT(status, weir_alloc_zero(account, join->key_count + 1, sizeof *local->ranges,
                                         &local->ranges, reterr));
    for (uint32_t k = 0; k < join->key_count; k++)
        range_start(&local->ranges[k], &join->key_types[k]);
    *ret_local = local;
    return WEIR_OK;
out:
    local_free(local);
    return status;
}

/* Rows that can matter: NULL = all. */
static weir_status pick_rows(struct build_local *local, const struct join_keys *keys,
                             uint32_t *count, uint32_t **ret_rows, struct weir_error *reterr)
{
    uint32_t *rows, kept = 0;
    bool any = false;
    for (uint32_t i = 0; keys->dead && i < *count; i++)
        any |= keys->dead[i];
    local->null_seen |= any;
    if (!any || local->join->keeps_nulls)
        return WEIR_OK;
    WEIR_TRY(weir_arena_alloc(&local->arena, (*count + 1) * sizeof *rows, &rows, reterr));
    for (uint32_t i = 0; i < *count; i++)
        if (!keys->dead[i])
            rows[kept++] = i;
    *count = kept;
    *ret_rows = rows;
    return WEIR_OK;
}

static weir_status append(struct build_local *local, const struct weir_batch *batch,
                          struct weir_error *reterr)
{
    struct join *join = local->join;
    struct join_keys keys;
    struct weir_vector *columns;
    uint32_t count = batch->count, *sizes, *rows = NULL;
    uint8_t **places;
    WEIR_TRY(
        join_keys_make(join, join->sink.operator->right_keys, batch, &local->arena, &keys, reterr));
    for (uint32_t k = 0; k < join->key_count; k++)
        if (local->ranges[k].known)
            range_add(&local->ranges[k], &keys.values[k], count);
    local->row_count += count;
    WEIR_TRY(pick_rows(local, &keys, &count, &rows, reterr));
    WEIR_TRY(
        weir_arena_zero(&local->arena, join->layout.count + 1, sizeof *columns, &columns, reterr));
    WEIR_TRY(weir_arena_alloc(&local->arena, (count + 1) * sizeof *sizes, &sizes, reterr));
    WEIR_TRY(weir_arena_alloc(&local->arena, (count + 1) * sizeof *places, &places, reterr));
    memcpy(columns, keys.values, join->key_count * sizeof *columns);
    for (uint32_t i = 0; i < join->payload_count; i++)
        columns[join->key_count + i] = batch->columns[join->payload[i]];
    WEIR_TRY(weir_rows_size(&join->layout, columns, rows, count, sizes, reterr));
    WEIR_TRY(weir_row_store_add_all(&local->part->store, sizes, count, places, reterr));
    weir_rows_write(&join->layout, columns, rows, count, places);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t hash = keys.hashes[rows ? rows[i] : i];
        join_row(places[i])->hash = hash;
        atomic_init(&join_row(places[i])->next, 0);
        local->part->counts[join_partition_of(hash)]++;
    }
    return WEIR_OK;
}

/* Everything that is in memory goes to the file, and from now on all that comes. */
static weir_status start_spilling(struct join *join, struct weir_error *reterr)
{
    weir_status status = WEIR_OK;
    pthread_mutex_lock(&join->lock);
    atomic_store(&join->spilling, true);
    for (size_t i = 0; i < join->parts.capacity && status == WEIR_OK; i++) {
        struct join_part *part = join->parts.parts[i];
        uint32_t sequence = 0;
        if (!part)
            continue;
        status = join_file_write(&join->file, &part->store, part->morsel, &sequence, reterr);
        join_part_free(part);
        join->parts.parts[i] = NULL;
    }
    pthread_mutex_unlock(&join->lock);
    return status;
}

static weir_status build_batch(struct exec_sink *opaque, void *opaque_local,
                               const struct weir_batch *batch, struct weir_error *reterr)
{
    struct join *join = (struct join *)opaque;
    struct build_local *local = opaque_local;
    weir_arena_reset(&local->arena);
    WEIR_TRY(append(local, batch, reterr));
    if (!atomic_load_explicit(&join->spilling, memory_order_relaxed)) {
        if (!exec_should_spill(opaque->exec))
            return WEIR_OK;
        WEIR_TRY(start_spilling(join, reterr));
    }
    if (local->part->store.byte_count < join_flush_bytes(opaque->exec))
        return WEIR_OK;
    return join_file_write(&join->file, &local->part->store, local->part->morsel, &local->sequence,
                           reterr);
}

static weir_status build_end(struct exec_sink *opaque, void *opaque_local,
                             struct weir_error *reterr)
{
    struct join *join = (struct join *)opaque;
    struct build_local *local = opaque_local;
    weir_status status = WEIR_OK;
    pthread_mutex_lock(&join->lock);
    for (uint32_t k = 0; k < join->key_count; k++)
        range_widen(&join->ranges[k], local->ranges[k].low, local->ranges[k].high);
    atomic_fetch_add(&join->row_count, local->row_count);
    if (local->null_seen)
        atomic_store(&join->null_seen, true);
    bool spilling = atomic_load(&join->spilling);
    if (!spilling && local->part->store.row_count) {
        status = join_parts_add(&join->parts, opaque->exec->account, local->part, reterr);
        local->part = NULL;
    }
    pthread_mutex_unlock(&join->lock);
    if (spilling)
        status = join_file_write(&join->file, &local->part->store, local->part->morsel,
                                 &local->sequence, reterr);
    local_free(local);
    return status;
}

static void build_abandon(struct exec_sink *opaque, void *local)
{
    local_free(local);
}

/* The table would not leave room for those who work beside it. */
static bool table_too_large(const struct join *join, uint64_t row_count)
{
    const struct exec *exec = join->sink.exec;
    uint64_t bytes = row_count * 8, directory = 512;
    while (directory < row_count * 12)
        directory *= 2;
    bytes += join->key_count ? directory : 0;
    for (const struct weir_account *account = exec->account; account; account = account->parent)
        if (account->limit && atomic_load(&account->used) + bytes > account->limit / 4 * 3)
            return exec->options->spill != NULL;
    return false;
}

static weir_status build_finish(struct exec_sink *opaque, struct exec_source **ret_source,
                                struct weir_error *reterr)
{
    struct join *join = (struct join *)opaque;
    uint64_t rows = 0, bytes = 0;
    *ret_source = NULL;
    for (size_t i = 0; i < join->parts.capacity; i++) {
        rows += join->parts.parts[i] ? join->parts.parts[i]->store.row_count : 0;
        bytes += join->parts.parts[i] ? join->parts.parts[i]->store.byte_count : 0;
    }
    if (!atomic_load(&join->spilling) && rows && table_too_large(join, rows))
        WEIR_TRY(start_spilling(join, reterr));
    if (atomic_load(&join->spilling)) {
        join->finished = true;
        return join_file_finish(&join->file, reterr);
    }
    WEIR_TRY(join_table_build(join, &join->table, &join->parts, 0, opaque->exec->context, reterr));
    if (join->table.directory)
        bytes += weir_block_size(join->table.directory);
    atomic_store(&opaque->operator->counters.memory_peak, bytes + rows * sizeof(uint8_t *));
    join->finished = true;
    return WEIR_OK;
}

static void build_free(struct exec_sink *opaque)
{
    struct join *join = (struct join *)opaque;
    if (!join)
        return;
    join_table_done(&join->table);
    join_parts_done(&join->parts);
    join_file_done(&join->file);
    pthread_mutex_destroy(&join->lock);
    weir_arena_done(&join->arena);
    weir_free(join);
}

static const struct exec_sink_operations build_operations = {.begin = build_begin,
                                                             .batch = build_batch,
                                                             .end = build_end,
                                                             .abandon = build_abandon,
                                                             .finish = build_finish,
                                                             .free = build_free};

weir_status exec_join_build_new(struct exec *exec, struct weir_operator *operator,
                                struct exec_sink ** ret_sink, struct weir_error *reterr)
{
    struct join *join;
    weir_status status;
    WEIR_TRY(weir_alloc_zero(exec->account, 1, sizeof *join, &join, reterr));
    join->sink = (struct exec_sink){
        .operations = &build_operations, .exec = exec, .operator= operator};
    join->key_count = operator->key_count;
    weir_arena_init(&join->arena, exec->account);
    pthread_mutex_init(&join->lock, NULL);
    read_kind(join);
    WEIR_TRY_OUT(status, make_joined(join, reterr));
    WEIR_TRY_OUT(status, make_layout(join, reterr));
    WEIR_TRY_OUT(status, weir_arena_zero(&join->arena, join->key_count + 1, sizeof *join->ranges,
                                         &join->ranges, reterr));
    for (uint32_t k = 0; k < join->key_count; k++)
        range_start(&join->ranges[k], &join->key_types[k]);
    join_file_init(&join->file, exec, operator, & join->layout,
                   join->key_count == 0 || join->mark_general ? 1 : JOIN_PARTITIONS);
    *ret_sink = &join->sink;
    return WEIR_OK;
out:
    build_free(&join->sink);
    return status;
}

/* ---- what scans may know ---- */

static weir_status range_predicate(struct weir_arena *arena, const struct weir_type *type,
                                   __int128 value, enum weir_predicate_kind kind,
                                   struct weir_predicate *ret, struct weir_error *reterr)
{
    struct weir_predicate predicate = {.kind = kind};
    WEIR_TRY(weir_vector_make(arena, type, 1, 0, &predicate.value, reterr));
    predicate.value.count = 1;
    if (weir_type_width(type) == 4)
        *(int32_t *)predicate.value.values = (int32_t)value;
    else if (weir_type_width(type) == 8)
        *(int64_t *)predicate.value.values = (int64_t)value;
    else
        memcpy(predicate.value.values, &value, sizeof value);
    *ret = predicate;
    return WEIR_OK;
}

/* Rows that stand for the distinct keys, or none if there are too many. Equal hashes: kept twice
 * does no harm, but a hash of all keys may not tell one from the other: only for single keys. */
static uint32_t distinct_rows(const struct join *join, uint8_t **ret_places)
{
    uint8_t *slots[IN_MOST * 4] = {0};
    uint32_t count = 0;
    for (uint64_t i = 0; i < join->table.row_count; i++) {
        uint8_t *place = join->table.rows[i];
        uint64_t hash = join_row(place)->hash;
        uint32_t at = hash % (IN_MOST * 4);
        if (join_row_dead(join, place))
            continue;
        while (slots[at] && join_row(slots[at])->hash != hash)
            at = (at + 1) % (IN_MOST * 4);
        if (slots[at] && join_row(slots[at])->hash == hash) {
            const struct weir_row_layout *layout = &join->layout;
            if (layout->variable || memcmp(slots[at] + layout->slots[0], place + layout->slots[0],
                                           weir_type_width(&layout->types[0])) != 0)
                return 0; /* cannot tell cheaply */
            continue;
        }
        if (count == IN_MOST)
            return 0;
        slots[at] = place;
        ret_places[count++] = place;
    }
    return count;
}

weir_status exec_join_build_predicates(struct exec_sink *build, uint32_t key,
                                       struct weir_arena *arena, struct weir_predicate *ret,
                                       size_t *ret_count, struct weir_error *reterr)
{
    const struct join *join = (const struct join *)build;
    const struct weir_operator *operator= build->operator;
    uint8_t *places[IN_MOST];
    *ret_count = 0;
    if (!join->finished || key >= join->key_count ||
        (operator->null_safe && operator->null_safe[key]) || !join->ranges[key].known)
        return WEIR_OK;
    const struct weir_type *type = &operator->right_keys[key]->type;
    if (join->key_count == 1 && !atomic_load(&join->spilling)) {
        uint32_t count = distinct_rows(join, places);
        if (count) {
            struct weir_predicate predicate = {.kind = WEIR_PREDICATE_IN};
            WEIR_TRY(
                weir_rows_read(&join->layout, 0, places, count, arena, &predicate.value, reterr));
            predicate.value.type = type;
            ret[0] = predicate;
            *ret_count = 1;
            return WEIR_OK;
        }
    }
    WEIR_TRY(
        range_predicate(arena, type, join->ranges[key].low, WEIR_PREDICATE_GE, &ret[0], reterr));
    WEIR_TRY(
        range_predicate(arena, type, join->ranges[key].high, WEIR_PREDICATE_LE, &ret[1], reterr));
    *ret_count = 2;
    return WEIR_OK;
}

static uint32_t filter_numbers(const struct join *join, const struct weir_vector *values,
                               uint32_t *rows, uint32_t count)
{
    struct weir_lane lane = weir_lane_of(values);
    uint32_t kept = 0;
    bool wide = weir_type_width(values->type) == 8;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = rows[i], at = weir_lane(&lane, row);
        uint64_t value = wide ? ((const uint64_t *)lane.flat->values)[at]
                              : ((const uint32_t *)lane.flat->values)[at];
        bool may = weir_lane_valid(&lane, row) &&
                   join_table_find(&join->table, join_hash_long(value));
        rows[kept] = row;
        kept += may;
    }
    return kept;
}

static uint32_t filter_bytes(const struct join *join, const struct weir_vector *values,
                             uint32_t *rows, uint32_t count)
{
    uint64_t *hashes;
    uint32_t kept = 0;
    if (weir_alloc(join->sink.exec->account, (values->count + (size_t)1) * sizeof *hashes, &hashes,
                   NULL) != WEIR_OK)
        return count; /* to drop nothing is right too */
    weir_vector_hash(values, values->count, false, hashes);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = rows[i];
        bool may = weir_vector_valid(values, row) &&
                   join_table_find(&join->table, join_hash_long(hashes[row]));
        rows[kept] = row;
        kept += may;
    }
    weir_free(hashes);
    return kept;
}

weir_status exec_join_build_probe_filter(struct exec_sink *build, uint32_t key,
                                         const struct weir_vector *values, uint32_t *rows,
                                         uint32_t *count)
{
    const struct join *join = (const struct join *)build;
    const struct weir_operator *operator= build->operator;
    uint32_t width = weir_type_width(values->type);
    enum weir_type_id id = values->type->id;
    if (!join->finished || key != 0 || join->key_count != 1 || !join->table.directory ||
        (operator->null_safe && operator->null_safe[0]) || id == WEIR_FLOAT || id == WEIR_DOUBLE)
        return WEIR_OK;
    if (id == WEIR_STRING || id == WEIR_BINARY)
        *count = filter_bytes(join, values, rows, *count);
    else if (width == 4 || width == 8)
        *count = filter_numbers(join, values, rows, *count);
    return WEIR_OK;
}
