/* Probing a join's table with one batch after the other. Candidates of all probe rows advance along
 * their chains together, one round at a time; pairs of equal keys gather until a batch is full, are
 * looked at by the filter and go out. Order: rounds, then probe rows; a function of the rows alone.
 */
#include "engine/exec/join_int.h"

void join_cursor_init(struct join_cursor *cursor, struct join *join, const struct join_table *table)
{
    *cursor = (struct join_cursor){.join = join, .table = table};
    weir_arena_init(&cursor->arena, join->sink.exec->account);
    weir_arena_init(&cursor->round, join->sink.exec->account);
}

void join_cursor_done(struct join_cursor *cursor)
{
    weir_arena_done(&cursor->arena);
    weir_arena_done(&cursor->round);
}

/* ---- candidates ---- */

/* One partner settles a probe row, and there is no filter to say no: no pairs are needed. */
static bool settles_at_once(const struct join *join)
{
    return join->once && !join->sink.operator->filter;
}

static void first_candidates(struct join_cursor *cursor)
{
    const struct join_table *table = cursor->table;
    const uint64_t *hashes = cursor->keys.hashes;
    const uint8_t *dead = cursor->keys.dead;
    bool skip_found = cursor->join->once;
    uint32_t count = cursor->batch->count, active = 0;
    uint32_t row_end = cursor->join->layout.fixed_size - 1;
    for (uint32_t i = 0; i < count; i++)
        __builtin_prefetch(&table->directory[hashes[i] << table->rotate >> table->shift]);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *place = join_table_find(table, hashes[i]);
        cursor->rows[active] = i;
        cursor->places[active] = place;
        bool may = place && !(dead && dead[i]) && !(skip_found && cursor->found[i] & JOIN_FOUND);
        if (!may)
            continue;
        __builtin_prefetch(place);
        __builtin_prefetch(place + row_end); /* rows lie across lines of the cache */
        active++;
    }
    cursor->active = active;
}

/* One round: equal keys become pairs, candidates move along their chains. */
static void hash_round(struct join_cursor *cursor)
{
    const struct join *join = cursor->join;
    bool at_once = settles_at_once(join), once = join->once;
    bool unique = cursor->table->unique, pairs_needed = !at_once;
    uint32_t active = 0;
    uint8_t *found = cursor->found;
    join_keys_equal(join, &cursor->keys, cursor->rows, cursor->places, cursor->active, false,
                    cursor->equal);
    for (uint32_t i = 0; i < cursor->active; i++) {
        uint32_t row = cursor->rows[i];
        uint8_t *place = cursor->places[i];
        bool equal = cursor->equal[i];
        if (once && (found[row] & JOIN_FOUND))
            continue;
        if (equal && pairs_needed) {
            cursor->pair_rows[cursor->pairs] = row;
            cursor->pair_places[cursor->pairs++] = place;
        } else if (equal) {
            found[row] |= JOIN_FOUND;
        }
        if (equal && (unique || at_once))
            continue;
        uint8_t *next = join_row_next(place);
        if (!next)
            continue;
        __builtin_prefetch(next);
        cursor->rows[active] = row;
        cursor->places[active++] = next;
    }
    cursor->active = active;
}

/* Pairs every probe row with every build row. */
static void loop_round(struct join_cursor *cursor)
{
    const struct join_table *table = cursor->table;
    bool once = cursor->join->once;
    while (cursor->loop_row < cursor->batch->count && cursor->pairs < cursor->capacity) {
        uint32_t row = cursor->loop_row;
        uint64_t left = table->row_count - cursor->loop_place;
        if (once && settles_at_once(cursor->join) && table->row_count)
            cursor->found[row] |= JOIN_FOUND;
        if (left == 0 || (once && cursor->found[row] & JOIN_FOUND)) {
            cursor->loop_row++;
            cursor->loop_place = 0;
            continue;
        }
        uint32_t room = cursor->capacity - cursor->pairs;
        uint32_t count = left < room ? (uint32_t)left : room;
        for (uint32_t i = 0; i < count; i++) {
            cursor->pair_rows[cursor->pairs + i] = row;
            cursor->pair_places[cursor->pairs + i] = table->rows[cursor->loop_place + i];
        }
        cursor->pairs += count;
        cursor->loop_place += count;
    }
}

/* MARK by more than one plain key: pairs that might be equal if nulls were known. */
static void unknown_round(struct join_cursor *cursor)
{
    const struct join_table *table = cursor->table;
    while (cursor->loop_row < cursor->batch->count && cursor->pairs < cursor->capacity) {
        uint32_t row = cursor->loop_row;
        bool dead = cursor->keys.dead && cursor->keys.dead[row];
        uint8_t **places = dead ? table->rows : table->null_rows;
        uint64_t left = (dead ? table->row_count : table->null_count) - cursor->loop_place;
        if (left == 0 || cursor->found[row]) {
            cursor->loop_row++;
            cursor->loop_place = 0;
            continue;
        }
        uint32_t room = cursor->capacity - cursor->pairs, used = 0;
        uint32_t count = left < room ? (uint32_t)left : room;
        for (uint32_t i = 0; i < count; i++)
            cursor->rows[i] = row;
        join_keys_equal(cursor->join, &cursor->keys, cursor->rows, places + cursor->loop_place,
                        count, true, cursor->equal);
        for (uint32_t i = 0; i < count; i++) {
            cursor->pair_rows[cursor->pairs + used] = row;
            cursor->pair_places[cursor->pairs + used] = places[cursor->loop_place + i];
            used += cursor->equal[i];
        }
        cursor->pairs += used;
        cursor->loop_place += count;
    }
}

/* Gathers pairs; false: there are no more candidates in this stage. */
static bool gather(struct join_cursor *cursor)
{
    if (cursor->stage == JOIN_UNKNOWN) {
        unknown_round(cursor);
        return cursor->loop_row < cursor->batch->count;
    }
    if (cursor->join->key_count == 0) {
        loop_round(cursor);
        return cursor->loop_row < cursor->batch->count;
    }
    while (cursor->active && cursor->pairs + cursor->active <= cursor->capacity)
        hash_round(cursor);
    return cursor->active > 0;
}

/* ---- pairs ---- */

static weir_status read_build(const struct join *join, uint32_t column, uint8_t *const *places,
                              uint32_t count, struct weir_arena *arena, struct weir_vector *ret,
                              struct weir_error *reterr)
{
    WEIR_TRY(
        weir_rows_read(&join->layout, join->stored[column], places, count, arena, ret, reterr));
    ret->type = &join->joined.children[join->left_count + column].type;
    return WEIR_OK;
}

/* The filter looks at its columns of the joined rows; pairs it does not say true to go. */
static weir_status filter_pairs(struct join_cursor *cursor, struct weir_error *reterr)
{
    struct weir_arena *arena = &cursor->round;
    const struct join *join = cursor->join;
    struct exec *exec = join->sink.exec;
    struct weir_batch batch = {.type = &join->joined, .count = cursor->pairs};
    struct weir_selection selection;
    int location = -1;
    weir_arena_reset(arena);
    WEIR_TRY(weir_context_check(exec->context, reterr));
    WEIR_TRY(weir_arena_zero(arena, join->joined.child_count + 1, sizeof *batch.columns,
                             &batch.columns, reterr));
    for (uint32_t c = 0; c < join->joined.child_count; c++) {
        struct weir_vector *column = &batch.columns[c];
        if (!weir_bit_get(join->needs, c))
            *column = (struct weir_vector){.type = &join->joined.children[c].type,
                                           .count = batch.count};
        else if (c < join->left_count)
            WEIR_TRY(weir_vector_slice(arena, &cursor->batch->columns[c], cursor->pair_rows,
                                       cursor->pairs, column, reterr));
        else
            WEIR_TRY(read_build(join, c - join->left_count, cursor->pair_places, cursor->pairs,
                                arena, column, reterr));
    }
    weir_status status = weir_node_select(join->sink.operator->filter, &batch, arena, &selection,
                                          &location, reterr);
    if (status != WEIR_OK) {
        if (location >= 0)
            atomic_store(&exec->location, location);
        return status;
    }
    for (uint32_t i = 0; selection.rows && i < selection.count; i++) {
        cursor->pair_rows[i] = cursor->pair_rows[selection.rows[i]];
        cursor->pair_places[i] = cursor->pair_places[selection.rows[i]];
    }
    cursor->pairs = selection.count;
    return WEIR_OK;
}

static weir_status note_pairs(struct join_cursor *cursor, struct weir_error *reterr)
{
    const struct join *join = cursor->join;
    enum weir_join_kind kind = join->sink.operator->join;
    uint8_t *found = cursor->found, flag = JOIN_FOUND;
    if (cursor->stage == JOIN_UNKNOWN)
        flag = JOIN_UNSURE;
    if (kind == WEIR_JOIN_SINGLE) {
        for (uint32_t i = 0; i < cursor->pairs; i++) {
            if (found[cursor->pair_rows[i]])
                return weir_fail(reterr, WEIR_FAILED,
                                 "more than one row returned by a subquery used as an expression");
            found[cursor->pair_rows[i]] = flag;
        }
    } else if (kind != WEIR_JOIN_INNER) {
        for (uint32_t i = 0; i < cursor->pairs; i++)
            found[cursor->pair_rows[i]] |= flag;
    }
    if (join->marks_build)
        for (uint32_t i = 0; i < cursor->pairs; i++)
            join_row_match(cursor->pair_places[i]);
    return WEIR_OK;
}

/* ---- output ---- */

static bool all_rows(const struct join_cursor *cursor, const uint32_t *rows, uint32_t count)
{
    if (count != cursor->batch->count)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (rows[i] != i)
            return false;
    return true;
}

/* Probe columns at `rows` in front of a batch with room for `more` columns behind. */
static weir_status probe_columns(const struct join_cursor *cursor, const uint32_t *rows,
                                 uint32_t count, uint32_t more, struct weir_arena *arena,
                                 struct weir_batch *batch, struct weir_error *reterr)
{
    const struct join *join = cursor->join;
    *batch = (struct weir_batch){.type = &join->sink.operator->type, .count = count};
    WEIR_TRY(weir_arena_zero(arena, join->left_count + more + 1, sizeof *batch->columns,
                             &batch->columns, reterr));
    if (all_rows(cursor, rows, count)) {
        if (join->left_count)
            memcpy(batch->columns, cursor->batch->columns,
                   join->left_count * sizeof *batch->columns);
        return WEIR_OK;
    }
    for (uint32_t c = 0; c < join->left_count; c++)
        WEIR_TRY(weir_vector_slice(arena, &cursor->batch->columns[c], rows, count,
                                   &batch->columns[c], reterr));
    return WEIR_OK;
}

static weir_status give_pairs(const struct join_cursor *cursor, const uint32_t *rows,
                              uint8_t *const *places, uint32_t count, struct weir_arena *arena,
                              struct weir_batch *ret_batch, struct weir_error *reterr)
{
    const struct join *join = cursor->join;
    struct weir_batch batch;
    WEIR_TRY(probe_columns(cursor, rows, count, join->right_count, arena, &batch, reterr));
    for (uint32_t c = 0; c < join->right_count; c++)
        WEIR_TRY(read_build(join, c, places, count, arena, &batch.columns[join->left_count + c],
                            reterr));
    *ret_batch = batch;
    return WEIR_OK;
}

weir_status join_unmatched_batch(const struct join *join, uint8_t *const *places, uint32_t count,
                                 struct weir_arena *arena, struct weir_batch *ret_batch,
                                 struct weir_error *reterr)
{
    const struct weir_operator *operator= join->sink.operator;
    struct weir_batch batch = {.type = &operator->type, .count = count};
    uint32_t left = join->gives_pairs ? join->left_count : 0;
    uint8_t **nowhere;
    WEIR_TRY(weir_arena_zero(arena, left + join->right_count + 1, sizeof *batch.columns,
                             &batch.columns, reterr));
    WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof *nowhere, &nowhere, reterr));
    for (uint32_t c = 0; c < left; c++) {
        /* a layout of this one column, of which there is no row */
        const struct weir_type *type = &join->joined.children[c].type;
        struct weir_row_layout layout;
        WEIR_TRY(weir_row_layout_init(arena, type, 1, 0, false, &layout, reterr));
        WEIR_TRY(weir_rows_read(&layout, 0, nowhere, count, arena, &batch.columns[c], reterr));
        batch.columns[c].type = type;
    }
    for (uint32_t c = 0; c < join->right_count; c++)
        WEIR_TRY(read_build(join, c, places, count, arena, &batch.columns[left + c], reterr));
    *ret_batch = batch;
    return WEIR_OK;
}

static weir_status give_marks(const struct join_cursor *cursor, struct weir_arena *arena,
                              struct weir_batch *ret_batch, struct weir_error *reterr)
{
    const struct join *join = cursor->join;
    uint32_t count = cursor->batch->count, *rows;
    bool general = join->mark_general || join->key_count == 0;
    bool any = atomic_load(&join->row_count), build_null = atomic_load(&join->null_seen);
    struct weir_batch batch;
    struct weir_vector mark = {.type = &join->sink.operator->type.children[join->left_count].type,
                               .count = count};
    WEIR_TRY(weir_arena_alloc(arena, (count + 1) * sizeof *rows, &rows, reterr));
    for (uint32_t i = 0; i < count; i++)
        rows[i] = i;
    WEIR_TRY(probe_columns(cursor, rows, count, 1, arena, &batch, reterr));
    WEIR_TRY(weir_arena_zero(arena, count / 8 + 64, 1, &mark.values, reterr));
    WEIR_TRY(weir_arena_zero(arena, count / 8 + 64, 1, &mark.validity, reterr));
    for (uint32_t i = 0; i < count; i++) {
        bool found = cursor->found[i] & JOIN_FOUND;
        bool dead = cursor->keys.dead && cursor->keys.dead[i];
        bool unsure = general ? cursor->found[i] & JOIN_UNSURE : any && (dead || build_null);
        if (found)
            weir_bit_set(mark.values, i);
        if (found || !unsure)
            weir_bit_set(mark.validity, i);
        else
            mark.null_count++;
    }
    batch.columns[join->left_count] = mark;
    *ret_batch = batch;
    return WEIR_OK;
}

/* What is known of probe rows once all build rows were seen. */
static weir_status give_rest(struct join_cursor *cursor, struct weir_arena *arena,
                             struct weir_batch *ret_batch, struct weir_error *reterr)
{
    enum weir_join_kind kind = cursor->join->sink.operator->join;
    bool outer = kind == WEIR_JOIN_LEFT || kind == WEIR_JOIN_FULL || kind == WEIR_JOIN_SINGLE;
    uint32_t count = 0;
    if (kind == WEIR_JOIN_MARK)
        return give_marks(cursor, arena, ret_batch, reterr);
    if (!outer && kind != WEIR_JOIN_SEMI && kind != WEIR_JOIN_ANTI)
        return WEIR_OK;
    for (uint32_t i = 0; i < cursor->batch->count; i++) {
        cursor->pair_rows[count] = i;
        count += (cursor->found[i] & JOIN_FOUND) == (kind == WEIR_JOIN_SEMI);
    }
    if (!count)
        return WEIR_OK;
    if (!outer)
        return probe_columns(cursor, cursor->pair_rows, count, 0, arena, ret_batch, reterr);
    memset(cursor->pair_places, 0, count * sizeof *cursor->pair_places);
    return give_pairs(cursor, cursor->pair_rows, cursor->pair_places, count, arena, ret_batch,
                      reterr);
}

/* ---- the cursor ---- */

weir_status join_cursor_start(struct join_cursor *cursor, const struct weir_batch *batch,
                              uint8_t *found, bool last, struct weir_error *reterr)
{
    struct join *join = cursor->join;
    struct weir_arena *arena = &cursor->arena;
    uint32_t rows = join->sink.exec->batch_rows;
    size_t capacity = batch->count > rows ? batch->count : rows;
    weir_arena_reset(arena);
    cursor->batch = batch;
    cursor->found = found;
    cursor->last = last;
    cursor->capacity = (uint32_t)capacity;
    cursor->pairs = cursor->active = cursor->loop_row = 0;
    cursor->loop_place = 0;
    cursor->keys = (struct join_keys){0};
    if (!found)
        WEIR_TRY(weir_arena_zero(arena, capacity + 1, 1, &cursor->found, reterr));
    WEIR_TRY(weir_arena_alloc(arena, (capacity + 1) * 4, &cursor->rows, reterr));
    WEIR_TRY(weir_arena_alloc(arena, (capacity + 1) * 4, &cursor->pair_rows, reterr));
    WEIR_TRY(weir_arena_alloc(arena, (capacity + 1) * 8, &cursor->places, reterr));
    WEIR_TRY(weir_arena_alloc(arena, (capacity + 1) * 8, &cursor->pair_places, reterr));
    WEIR_TRY(weir_arena_alloc(arena, capacity + 1, &cursor->equal, reterr));
    if (join->key_count) {
        WEIR_TRY(join_keys_make(join, join->sink.operator->left_keys, batch, arena, &cursor->keys,
                                reterr));
        first_candidates(cursor);
    }
    cursor->stage = JOIN_MATCHING;
    return WEIR_OK;
}

static void next_stage(struct join_cursor *cursor)
{
    cursor->loop_row = 0;
    cursor->loop_place = 0;
    if (cursor->stage == JOIN_MATCHING && cursor->join->mark_general)
        cursor->stage = JOIN_UNKNOWN;
    else
        cursor->stage = cursor->last ? JOIN_REST : JOIN_IDLE;
}

weir_status join_cursor_next(struct join_cursor *cursor, struct weir_arena *arena,
                             struct weir_batch *ret_batch, struct weir_error *reterr)
{
    const struct join *join = cursor->join;
    struct weir_batch batch = {0};
    while (cursor->stage == JOIN_MATCHING || cursor->stage == JOIN_UNKNOWN) {
        bool more = gather(cursor);
        if (cursor->pairs && join->sink.operator->filter)
            WEIR_TRY(filter_pairs(cursor, reterr));
        WEIR_TRY(note_pairs(cursor, reterr));
        if (cursor->pairs && join->gives_pairs)
            WEIR_TRY(give_pairs(cursor, cursor->pair_rows, cursor->pair_places, cursor->pairs,
                                arena, &batch, reterr));
        cursor->pairs = 0;
        if (!more)
            next_stage(cursor);
        if (batch.count) {
            *ret_batch = batch;
            return WEIR_OK;
        }
    }
    if (cursor->stage == JOIN_REST) {
        cursor->stage = JOIN_IDLE;
        WEIR_TRY(give_rest(cursor, arena, &batch, reterr));
    }
    *ret_batch = batch;
    return WEIR_OK;
}
