/* Hash aggregation: the sink. See aggregate_int.h for how it is put together.
 *
 * A morsel's table is handed over when it holds PIECE_GROUPS groups or piece_bytes bytes. If by
 * then it had no more than two rows a group, looking for groups does not pay: from there on each
 * row of the morsel becomes a group of its own, and only the merge brings equal ones together. */
#include "engine/exec/aggregate_int.h"

#define PIECE_GROUPS (32u << 10)
#define PIECE_ROWS   (64u << 10) /* of a piece whose rows are groups */
#define PIECE_BYTES  (8u << 20)  /* at most; and at most a share of the limit of memory */
#define PIECE_SHARE  32
#define SAMPLE_ROWS  (8u << 10)
#define CODES_A_ROW  8 /* as many codes there may be as this times the rows of a batch */

struct local {
    struct aggregate *aggregate;
    size_t morsel;
    struct weir_arena arena; /* of the batch */
    struct groups groups;
    uint64_t rows; /* that went into these groups */
    bool sampled;  /* the question was asked of them */
    bool each_row; /* rows are made groups without looking */
};

/* ---- making ---- */

static weir_status count_expressions(const struct weir_operator *operator,
                                     struct aggregate * aggregate, struct weir_error *reterr)
{
    uint64_t arguments = 0;
    aggregate->call_count = operator->aggregate_count;
    for (uint32_t c = 0; c < aggregate->call_count; c++)
        arguments +=
            (uint64_t) operator->aggregates[c].argument_count + operator->aggregates[c].order_count;
    if (arguments > UINT32_MAX / 2)
        return weir_fail(reterr, WEIR_UNSUPPORTED, "too many arguments of aggregates");
    aggregate->argument_count = (uint32_t)arguments;
    aggregate->numbers_set = operator->set_count> 1;
    aggregate->key_count = operator->expression_count + aggregate->numbers_set;
    if (operator->set_count && operator->expression_count> 64)
        return weir_fail(reterr, WEIR_UNSUPPORTED, "grouping sets of more than 64 keys");
    return WEIR_OK;
}

/* Calls, their arguments and where their states lie; *ret_size: of the header. */
static weir_status make_calls(const struct weir_operator *operator, struct aggregate * aggregate,
                              uint32_t *ret_size, struct weir_error *reterr)
{
    struct weir_arena *arena = &aggregate->arena;
    uint64_t size = 8;
    uint32_t at = 0;
    WEIR_TRY(weir_arena_zero(arena, (size_t)aggregate->call_count + 1, sizeof *aggregate->calls,
                             &aggregate->calls, reterr));
    WEIR_TRY(weir_arena_zero(arena, (size_t)aggregate->argument_count + 1,
                             sizeof *aggregate->arguments, &aggregate->arguments, reterr));
    aggregate->plain = true;
    for (uint32_t c = 0; c < aggregate->call_count; c++) {
        const struct weir_aggregate_call *given = &operator->aggregates[c];
        struct aggregate_call *call = &aggregate->calls[c];
        call->call = *given;
        if (given->distinct || given->order_count)
            WEIR_TRY(aggregate_collect_wrap(arena, given, &call->call, reterr));
        call->first_argument = at;
        for (uint32_t i = 0; i < call->call.argument_count; i++)
            aggregate->arguments[at++] = call->call.arguments[i];
        call->offset = (uint32_t)size;
        size += call->call.function->state_size(&call->call);
        aggregate->plain &= !call->call.function->serialize;
        if (size > 1u << 20)
            return weir_fail(reterr, WEIR_UNSUPPORTED, "too many aggregates at once");
    }
    *ret_size = (uint32_t)size;
    return WEIR_OK;
}

/* From what is set, not from what is in use: results must not depend on that. */
static uint64_t piece_bytes_of(const struct exec *exec)
{
    uint64_t bytes = PIECE_BYTES;
    for (const struct weir_account *account = exec->account; account; account = account->parent)
        if (account->limit && account->limit / PIECE_SHARE < bytes)
            bytes = account->limit / PIECE_SHARE;
    return bytes;
}

static weir_status aggregate_init(struct aggregate *aggregate, struct weir_error *reterr)
{
    static const struct weir_type set_type = {.id = WEIR_INT};
    const struct weir_operator *operator= aggregate->sink.operator;
    struct weir_arena *arena = &aggregate->arena;
    uint32_t size;
    aggregate->piece_bytes = piece_bytes_of(aggregate->sink.exec);
    WEIR_TRY(count_expressions(operator, aggregate, reterr));
    WEIR_TRY(make_calls(operator, aggregate, &size, reterr));
    WEIR_TRY(weir_arena_zero(arena, (size_t)aggregate->key_count + 1, sizeof *aggregate->key_types,
                             &aggregate->key_types, reterr));
    for (uint32_t k = 0; k < operator->expression_count; k++)
        aggregate->key_types[k] = operator->expressions[k]->type;
    if (aggregate->numbers_set)
        aggregate->key_types[operator->expression_count] = set_type;
    WEIR_TRY(weir_row_layout_init(arena, aggregate->key_types, aggregate->key_count, size, true,
                                  &aggregate->layout, reterr));
    WEIR_TRY(weir_arena_zero(arena, 1, size, &aggregate->header, reterr));
    for (uint32_t c = 0; c < aggregate->call_count; c++) {
        const struct aggregate_call *call = &aggregate->calls[c];
        call->call.function->init(&call->call, aggregate->header + call->offset);
    }
    return WEIR_OK;
}

static void aggregate_free(struct exec_sink *sink)
{
    struct aggregate *aggregate = (struct aggregate *)sink;
    if (!aggregate)
        return;
    aggregate_pieces_done(aggregate);
    while (aggregate->spare_count)
        weir_free(aggregate->spare[--aggregate->spare_count]);
    for (uint32_t p = 0; p < AGGREGATE_PARTITIONS; p++) {
        struct aggregate_partition *partition = &aggregate->partitions[p];
        groups_done(&partition->groups);
        weir_spill_file_free(partition->file);
        pthread_mutex_destroy(&partition->lock);
    }
    pthread_mutex_destroy(&aggregate->lock);
    weir_arena_done(&aggregate->arena);
    weir_free(aggregate);
}

/* ---- a morsel ---- */

/* Slots grown by one morsel serve the next: they are empty once its groups were handed over. */
static void take_slots(struct aggregate *aggregate, struct groups *groups)
{
    pthread_mutex_lock(&aggregate->lock);
    if (aggregate->spare_count) {
        groups->slots = aggregate->spare[--aggregate->spare_count];
        groups->slot_count = (uint32_t)(weir_block_size(groups->slots) / sizeof *groups->slots);
    }
    pthread_mutex_unlock(&aggregate->lock);
}

static void give_slots(struct aggregate *aggregate, struct groups *groups)
{
    pthread_mutex_lock(&aggregate->lock);
    if (groups->slots && aggregate->spare_count < AGGREGATE_SPARE) {
        aggregate->spare[aggregate->spare_count++] = groups->slots;
        groups->slots = NULL;
    }
    pthread_mutex_unlock(&aggregate->lock);
}

static weir_status aggregate_begin(struct exec_sink *sink, size_t morsel, void **ret_local,
                                   struct weir_error *reterr)
{
    struct local *local;
    WEIR_TRY(weir_alloc_zero(sink->exec->account, 1, sizeof *local, &local, reterr));
    local->aggregate = (struct aggregate *)sink;
    local->morsel = morsel;
    weir_arena_init(&local->arena, sink->exec->account);
    weir_status status = groups_init(&local->groups, sink->exec->account, reterr);
    if (status == WEIR_OK)
        *ret_local = local;
    else
        weir_free(local);
    if (status == WEIR_OK)
        take_slots(local->aggregate, &local->groups);
    return status;
}

static void local_free(struct local *local)
{
    groups_done(&local->groups);
    weir_arena_done(&local->arena);
    weir_free(local);
}

static void aggregate_abandon(struct exec_sink *sink, void *opaque)
{
    atomic_store(&((struct aggregate *)sink)->abandoned, true);
    if (opaque)
        local_free(opaque);
}

/* One row of each code looks for its group; the others take it from there. */
static weir_status find_by_codes(struct local *local, const struct weir_vector *keys,
                                 uint32_t count, const uint32_t *codes, uint32_t code_count,
                                 uint8_t **rows, struct weir_error *reterr)
{
    struct aggregate_keys made;
    uint32_t *first, *number, found = 0;
    uint8_t **of_code;
    WEIR_TRY(
        weir_arena_alloc(&local->arena, ((size_t)code_count + 1) * sizeof *first, &first, reterr));
    WEIR_TRY(
        weir_arena_zero(&local->arena, (size_t)code_count + 1, sizeof *number, &number, reterr));
    for (uint32_t i = 0; i < count; i++)
        if (!number[codes[i]]) {
            first[found++] = i;
            number[codes[i]] = found;
        }
    WEIR_TRY(
        weir_arena_alloc(&local->arena, ((size_t)found + 1) * sizeof *of_code, &of_code, reterr));
    WEIR_TRY(
        aggregate_keys_make(local->aggregate, keys, first, found, &local->arena, &made, reterr));
    WEIR_TRY(groups_find(local->aggregate, &local->groups, &made, of_code, reterr));
    for (uint32_t i = 0; i < count; i++)
        rows[i] = of_code[number[codes[i]] - 1];
    return WEIR_OK;
}

/* The group of each row. */
static weir_status find_groups(struct local *local, const struct weir_vector *keys, uint32_t count,
                               uint8_t **rows, struct weir_error *reterr)
{
    struct aggregate *aggregate = local->aggregate;
    struct aggregate_keys made;
    uint32_t *codes, code_count;
    if (aggregate->key_count == 0) {
        WEIR_TRY(aggregate_keys_make(aggregate, keys, NULL, 1, &local->arena, &made, reterr));
        WEIR_TRY(groups_find(aggregate, &local->groups, &made, rows, reterr));
        for (uint32_t i = 1; i < count; i++)
            rows[i] = rows[0];
        return WEIR_OK;
    }
    if (local->each_row)
        return groups_append(aggregate, &local->groups, keys, count, &local->arena, rows, reterr);
    WEIR_TRY(weir_arena_alloc(&local->arena, ((size_t)count + 1) * sizeof *codes, &codes, reterr));
    if (aggregate_codes(keys, aggregate->key_count, count, count * CODES_A_ROW, codes, &code_count))
        return find_by_codes(local, keys, count, codes, code_count, rows, reterr);
    WEIR_TRY(aggregate_keys_make(aggregate, keys, NULL, count, &local->arena, &made, reterr));
    return groups_find(aggregate, &local->groups, &made, rows, reterr);
}

static weir_status note_location(const struct aggregate *aggregate, int location,
                                 weir_status status)
{
    if (status != WEIR_OK && location >= 0)
        atomic_store(&aggregate->sink.exec->location, location);
    return status;
}

/* rows: the group of each row of the batch. */
static weir_status update_call(struct local *local, const struct aggregate_call *call,
                               const struct weir_vector *arguments, const struct weir_batch *batch,
                               uint8_t **rows, struct weir_error *reterr)
{
    const struct weir_aggregate_call *plan = &call->call;
    struct weir_aggregate_memory *memory = &local->groups.memory;
    struct weir_selection selection = {.count = batch->count};
    uint8_t **states = rows;
    int location = -1;
    if (plan->filter) {
        weir_status status = weir_node_select(plan->filter, batch, &local->arena, &selection,
                                              &location, reterr);
        WEIR_TRY(note_location(local->aggregate, location, status));
        if (selection.count == 0)
            return WEIR_OK;
    }
    if (selection.rows) {
        WEIR_TRY(weir_arena_alloc(&local->arena, ((size_t)selection.count + 1) * sizeof *states,
                                  &states, reterr));
        for (uint32_t i = 0; i < selection.count; i++)
            states[i] = rows[selection.rows[i]];
    }
    return note_location(local->aggregate, plan->location,
                         plan->function->update(plan, memory, arguments + call->first_argument,
                                                selection.rows, selection.count, states,
                                                call->offset, reterr));
}

/* Whether the groups are to be handed over; decided by what came in alone. */
static bool piece_full(struct local *local)
{
    const struct groups *groups = &local->groups;
    if (groups->store.byte_count + groups->arena->used >= local->aggregate->piece_bytes)
        return true;
    if (local->each_row) {
        if (groups->count < PIECE_ROWS)
            return false;
        local->each_row = false;
        return true;
    }
    if (!local->sampled && local->rows >= SAMPLE_ROWS) {
        local->sampled = true;
        local->each_row = groups->count > local->rows / 4 * 3;
    }
    return groups->count >= PIECE_GROUPS;
}

static weir_status consume(struct local *local, const struct weir_vector *keys,
                           const struct weir_vector *arguments, const struct weir_batch *batch,
                           struct weir_error *reterr)
{
    struct aggregate *aggregate = local->aggregate;
    uint8_t **rows;
    WEIR_TRY(
        weir_arena_alloc(&local->arena, ((size_t)batch->count + 1) * sizeof *rows, &rows, reterr));
    WEIR_TRY(find_groups(local, keys, batch->count, rows, reterr));
    for (uint32_t c = 0; c < aggregate->call_count; c++)
        WEIR_TRY(update_call(local, &aggregate->calls[c], arguments, batch, rows, reterr));
    local->rows += batch->count;
    if (aggregate->key_count == 0 || !piece_full(local))
        return WEIR_OK;
    local->rows = 0;
    local->sampled = false;
    return aggregate_hand_over(aggregate, local->morsel, &local->groups, reterr);
}

/* ---- grouping sets ---- */

/* A constant of one value, for any number of rows; NULL: null. */
static weir_status constant_vector(struct weir_arena *arena, const struct weir_type *type,
                                   const int32_t *value, uint32_t count, struct weir_vector *ret,
                                   struct weir_error *reterr)
{
    struct weir_vector vector;
    WEIR_TRY(weir_vector_make(arena, type, 1, 0, &vector, reterr));
    vector.kind = WEIR_CONSTANT;
    vector.count = count;
    if (value) {
        memcpy(vector.values, value, sizeof *value);
    } else {
        if (vector.offsets)
            vector.offsets[1] = 0;
        vector.null_count = count;
        WEIR_TRY(weir_arena_zero(arena, 64, 1, &vector.validity, reterr));
    }
    *ret = vector;
    return WEIR_OK;
}

/* The keys of set `set`: those that are not part of it are null. */
static weir_status keys_of_set(const struct aggregate *aggregate, uint32_t set,
                               const struct weir_vector *given, uint32_t count,
                               struct weir_arena *arena, struct weir_vector *keys,
                               struct weir_error *reterr)
{
    const struct weir_operator *operator= aggregate->sink.operator;
    int32_t number = (int32_t)set;
    for (uint32_t k = 0; k < operator->expression_count; k++) {
        if (operator->sets[set]>> k & 1)
            keys[k] = given[k];
        else
            WEIR_TRY(
                constant_vector(arena, &aggregate->key_types[k], NULL, count, &keys[k], reterr));
    }
    if (aggregate->numbers_set) {
        uint32_t last = operator->expression_count;
        WEIR_TRY(constant_vector(arena, &aggregate->key_types[last], &number, count, &keys[last],
                                 reterr));
    }
    return WEIR_OK;
}

static weir_status aggregate_batch(struct exec_sink *sink, void *opaque,
                                   const struct weir_batch *batch, struct weir_error *reterr)
{
    struct local *local = opaque;
    const struct aggregate *aggregate = local->aggregate;
    const struct weir_operator *operator= sink->operator;
    struct weir_vector *given, *keys, *arguments;
    weir_arena_reset(&local->arena);
    WEIR_TRY(weir_arena_zero(&local->arena, (size_t)aggregate->key_count + 1, sizeof *given, &given,
                             reterr));
    WEIR_TRY(weir_arena_zero(&local->arena, (size_t)aggregate->key_count + 1, sizeof *keys, &keys,
                             reterr));
    WEIR_TRY(weir_arena_zero(&local->arena, (size_t)aggregate->argument_count + 1,
                             sizeof *arguments, &arguments, reterr));
    WEIR_TRY(exec_evaluate(sink->exec, operator->expressions, operator->expression_count, batch,
                           &local->arena, given, reterr));
    WEIR_TRY(exec_evaluate(sink->exec, aggregate->arguments, aggregate->argument_count, batch,
                           &local->arena, arguments, reterr));
    if (operator->set_count == 0)
        return consume(local, given, arguments, batch, reterr);
    for (uint32_t set = 0; set < operator->set_count; set++) {
        WEIR_TRY(keys_of_set(aggregate, set, given, batch->count, &local->arena, keys, reterr));
        WEIR_TRY(consume(local, keys, arguments, batch, reterr));
    }
    return WEIR_OK;
}

static weir_status aggregate_end(struct exec_sink *sink, void *opaque, struct weir_error *reterr)
{
    struct local *local = opaque;
    struct aggregate *aggregate = (struct aggregate *)sink;
    weir_status status = aggregate_hand_over(aggregate, local->morsel, &local->groups, reterr);
    if (status == WEIR_OK)
        give_slots(aggregate, &local->groups);
    if (status == WEIR_OK)
        status = aggregate_morsel_done(aggregate, local->morsel, reterr);
    if (status != WEIR_OK)
        atomic_store(&aggregate->abandoned, true);
    local_free(local);
    return status;
}

/* ---- the end ---- */

/* Sets without keys have a row even where there was no input. */
static weir_status add_empty_sets(struct aggregate *aggregate, struct weir_arena *arena,
                                  struct weir_error *reterr)
{
    const struct weir_operator *operator= aggregate->sink.operator;
    uint32_t sets = operator->set_count ? operator->set_count : 1;
    struct weir_vector *keys;
    struct aggregate_keys made;
    uint8_t *row;
    WEIR_TRY(weir_arena_zero(arena, (size_t)aggregate->key_count + 1, sizeof *keys, &keys, reterr));
    for (uint32_t set = 0; set < sets; set++) {
        if (operator->set_count ? operator->sets[set] != 0 : aggregate->key_count != 0)
            continue;
        if (operator->set_count)
            WEIR_TRY(keys_of_set(aggregate, set, NULL, 1, arena, keys, reterr));
        WEIR_TRY(aggregate_keys_make(aggregate, keys, NULL, 1, arena, &made, reterr));
        struct aggregate_partition *partition =
            &aggregate->partitions[hash_partition(made.hashes[0])];
        if (partition->file)
            continue; /* there was input for it */
        if (!partition->groups.arena)
            WEIR_TRY(groups_init(&partition->groups, aggregate->sink.exec->account, reterr));
        WEIR_TRY(groups_find(aggregate, &partition->groups, &made, &row, reterr));
    }
    return WEIR_OK;
}

static weir_status aggregate_finish(struct exec_sink *sink, struct exec_source **ret_source,
                                    struct weir_error *reterr)
{
    struct aggregate *aggregate = (struct aggregate *)sink;
    WEIR_AUTO(weir_arena) arena;
    weir_arena_init(&arena, sink->exec->account);
    WEIR_TRY(aggregate_merge_all(aggregate, reterr));
    while (aggregate->spare_count)
        weir_free(aggregate->spare[--aggregate->spare_count]);
    WEIR_TRY(add_empty_sets(aggregate, &arena, reterr));
    uint64_t bytes = 0;
    for (uint32_t p = 0; p < AGGREGATE_PARTITIONS; p++)
        bytes += groups_bytes(&aggregate->partitions[p].groups);
    atomic_store(&sink->operator->counters.memory_peak, bytes);
    return aggregate_source_new(aggregate, ret_source, reterr);
}

static const struct exec_sink_operations aggregate_operations = {.begin = aggregate_begin,
                                                                 .batch = aggregate_batch,
                                                                 .end = aggregate_end,
                                                                 .abandon = aggregate_abandon,
                                                                 .finish = aggregate_finish,
                                                                 .free = aggregate_free};

weir_status exec_aggregate_new(struct exec *exec, struct weir_operator *operator,
                               struct exec_sink ** ret_sink, struct weir_error *reterr)
{
    struct aggregate *aggregate;
    WEIR_TRY(weir_alloc_zero(exec->account, 1, sizeof *aggregate, &aggregate, reterr));
    aggregate->sink = (struct exec_sink){
        .operations = &aggregate_operations, .exec = exec, .operator= operator};
    weir_arena_init(&aggregate->arena, exec->account);
    pthread_mutex_init(&aggregate->lock, NULL);
    for (uint32_t p = 0; p < AGGREGATE_PARTITIONS; p++)
        pthread_mutex_init(&aggregate->partitions[p].lock, NULL);
    weir_status status = aggregate_init(aggregate, reterr);
    if (status == WEIR_OK)
        *ret_sink = &aggregate->sink;
    else
        aggregate_free(&aggregate->sink);
    return status;
}
