/* Aggregates over frames.
 *
 * Frames that begin at the partition's beginning grow: each state is the one before and the rows
 * that came in. Other frames are put together from a tree of states over runs of 16, 256, ... rows.
 * States that hold memory of their own cannot be copied: growing frames keep one and take its
 * result again and again, others are computed from their rows each time. */
#include "engine/exec/window_int.h"

#define FAN        16u
#define LEVEL_MAX  8
#define PENDING    4096u
#define CHUNK_ROWS 512u

struct folding {
    struct window_task *task;
    const struct weir_window_call *call;
    const struct weir_aggregate_call *aggregate;
    const struct weir_aggregate_function *function;
    struct window_frames frames;
    struct weir_vector *arguments;
    struct weir_aggregate_memory memory;
    uint32_t state_size;
    /* rows that FILTER lets through: list[before[a] .. before[b]) are those of [a, b) */
    uint32_t *list, *before;
    uint8_t **same;                 /* room for count pointers */
    uint8_t **states;               /* by row: where its result is */
    struct weir_row_layout *layout; /* of results, when they cannot wait */
    uint8_t **places;
};

static weir_status refuse(const struct weir_window_call *call, struct weir_error *reterr)
{
    const char *name = call->aggregate.function->name;
    if (call->aggregate.distinct)
        return weir_fail(reterr, WEIR_UNSUPPORTED, "%s(DISTINCT ...) has no OVER", name);
    if (call->aggregate.order_count)
        return weir_fail(reterr, WEIR_UNSUPPORTED, "%s(... ORDER BY ...) has no OVER", name);
    return WEIR_OK;
}

/* ---- what takes part ---- */

static weir_status take_all(struct folding *folding, struct weir_error *reterr)
{
    struct window_task *task = folding->task;
    size_t count = (size_t)task->count + 1;
    WEIR_TRY(weir_arena_alloc(task->arena, count * sizeof(uint32_t), &folding->before, reterr));
    for (uint32_t row = 0; row <= task->count; row++)
        folding->before[row] = row;
    folding->list = task->rows;
    return WEIR_OK;
}

static weir_status take_filtered(struct folding *folding, struct weir_error *reterr)
{
    struct window_task *task = folding->task;
    struct weir_selection selection;
    size_t count = (size_t)task->count + 1;
    uint32_t at = 0;
    int location = -1;
    WEIR_TRY(weir_arena_alloc(task->arena, count * sizeof(uint32_t), &folding->before, reterr));
    WEIR_TRY(weir_arena_alloc(task->arena, count * sizeof(uint32_t), &folding->list, reterr));
    weir_status status = weir_node_select(folding->aggregate->filter, &task->input, task->arena,
                                          &selection, &location, reterr);
    if (status != WEIR_OK) {
        if (location >= 0)
            atomic_store(&task->window->sink.exec->location, location);
        return status;
    }
    for (uint32_t row = 0; row < task->count; row++) {
        folding->before[row] = at;
        if (at < selection.count && (selection.rows ? selection.rows[at] : at) == row)
            folding->list[at++] = row;
    }
    folding->before[task->count] = at;
    return WEIR_OK;
}

/* Rows [from, to) into one state. */
static weir_status fold_rows(struct folding *folding, uint8_t *state, uint32_t from, uint32_t to,
                             struct weir_error *reterr)
{
    uint32_t first = folding->before[from], count = folding->before[to] - first;
    if (count == 0)
        return WEIR_OK;
    for (uint32_t i = 0; i < count; i++)
        folding->same[i] = state;
    return folding->function->update(folding->aggregate, &folding->memory, folding->arguments,
                                     folding->list + first, count, folding->same, 0, reterr);
}

/* ---- results that cannot wait ---- */

static weir_status take_result(struct folding *folding, uint8_t *state, struct weir_arena *scratch,
                               uint8_t **ret_place, struct weir_error *reterr)
{
    struct weir_vector vector;
    uint32_t size;
    WEIR_TRY(
        folding->function->finalize(folding->aggregate, &state, 0, 1, scratch, &vector, reterr));
    WEIR_TRY(weir_rows_size(folding->layout, &vector, NULL, 1, &size, reterr));
    WEIR_TRY(weir_arena_alloc(folding->task->arena, size, ret_place, reterr));
    weir_rows_write(folding->layout, &vector, NULL, 1, ret_place);
    weir_arena_reset(scratch);
    return WEIR_OK;
}

static bool same_frame(const struct folding *folding, uint32_t row, uint32_t other)
{
    return folding->call->exclude == WEIR_EXCLUDE_NOTHING &&
           folding->frames.start[row] == folding->frames.start[other] &&
           folding->frames.end[row] == folding->frames.end[other];
}

static bool grows(const struct weir_window_call *call)
{
    return call->start == WEIR_UNBOUNDED_PRECEDING && call->exclude == WEIR_EXCLUDE_NOTHING;
}

static weir_status again_partition(struct folding *folding, uint32_t partition, uint8_t *state,
                                   struct weir_arena *scratch, struct weir_error *reterr)
{
    struct window_task *task = folding->task;
    uint32_t first = task->partitions[partition], last = task->partitions[partition + 1],
             taken = first;
    bool growing = grows(folding->call);
    for (uint32_t row = first; row < last; row++) {
        struct window_piece pieces[3];
        uint32_t count, end = folding->frames.end[row];
        if (row % CHUNK_ROWS == 0)
            WEIR_TRY(weir_context_check(task->window->sink.exec->context, reterr));
        if (row > first && same_frame(folding, row, row - 1)) {
            folding->places[row] = folding->places[row - 1];
            continue;
        }
        if (!growing || row == first) {
            weir_arena_reset(folding->memory.arena);
            folding->function->init(folding->aggregate, state);
        }
        if (growing) {
            if (end > taken)
                WEIR_TRY(fold_rows(folding, state, taken, end, reterr));
            taken = end > taken ? end : taken;
        } else {
            count = window_pieces(task, folding->call, &folding->frames, row, pieces);
            for (uint32_t i = 0; i < count; i++)
                WEIR_TRY(fold_rows(folding, state, pieces[i].start, pieces[i].end, reterr));
        }
        WEIR_TRY(take_result(folding, state, scratch, &folding->places[row], reterr));
    }
    return WEIR_OK;
}

static weir_status fold_again(struct folding *folding, struct window_result *result,
                              struct weir_error *reterr)
{
    struct window_task *task = folding->task;
    WEIR_AUTO(weir_arena) memory;
    WEIR_AUTO(weir_arena) scratch;
    uint8_t *state;
    weir_arena_init(&memory, task->window->sink.exec->account);
    weir_arena_init(&scratch, task->window->sink.exec->account);
    folding->memory.arena = &memory;
    WEIR_TRY(weir_arena_alloc(task->arena, folding->state_size + 8, &state, reterr));
    WEIR_TRY(weir_arena_alloc(task->arena, sizeof *folding->layout, &folding->layout, reterr));
    WEIR_TRY(weir_row_layout_init(task->arena, &folding->aggregate->type, 1, 0, false,
                                  folding->layout, reterr));
    WEIR_TRY(weir_arena_zero(task->arena, (size_t)task->count + 1, sizeof *folding->places,
                             &folding->places, reterr));
    for (uint32_t p = 0; p < task->partition_count; p++)
        WEIR_TRY(again_partition(folding, p, state, &scratch, reterr));
    result->places = folding->places;
    result->layout = folding->layout;
    result->column = 0;
    return WEIR_OK;
}

/* ---- frames that grow ---- */

static weir_status state_new(struct folding *folding, const uint8_t *from, uint8_t **ret_state,
                             struct weir_error *reterr)
{
    WEIR_TRY(weir_arena_alloc(folding->task->arena, folding->state_size + 8, ret_state, reterr));
    if (from)
        memcpy(*ret_state, from, folding->state_size);
    else
        folding->function->init(folding->aggregate, *ret_state);
    return WEIR_OK;
}

static weir_status fold_growing(struct folding *folding, struct weir_error *reterr)
{
    struct window_task *task = folding->task;
    for (uint32_t p = 0; p < task->partition_count; p++) {
        uint32_t first = task->partitions[p], taken = first;
        uint8_t *state = NULL;
        for (uint32_t row = first; row < task->partitions[p + 1]; row++) {
            uint32_t end = folding->frames.end[row];
            if (row % PENDING == 0)
                WEIR_TRY(weir_context_check(task->window->sink.exec->context, reterr));
            if (!state || end > taken) {
                WEIR_TRY(state_new(folding, state, &state, reterr));
                if (end > taken)
                    WEIR_TRY(fold_rows(folding, state, taken, end, reterr));
                taken = end > taken ? end : taken;
            }
            folding->states[row] = state;
        }
    }
    return WEIR_OK;
}

/* ---- a tree of states ---- */

/* Updates and combinations that wait to be done together, in order of rows. */
struct tree {
    struct folding *folding;
    uint8_t *levels[LEVEL_MAX]; /* [0]: of FAN rows each, [1]: of FAN of those, ... */
    uint32_t counts[LEVEL_MAX];
    uint32_t level_count;
    uint32_t pending;
    uint32_t rows[PENDING];
    uint8_t *into[PENDING], *from[PENDING];
};

static weir_status flush_rows(struct tree *tree, struct weir_error *reterr)
{
    struct folding *folding = tree->folding;
    uint32_t count = tree->pending;
    tree->pending = 0;
    return count == 0
               ? WEIR_OK
               : folding->function->update(folding->aggregate, &folding->memory, folding->arguments,
                                           tree->rows, count, tree->into, 0, reterr);
}

static weir_status flush_nodes(struct tree *tree, struct weir_error *reterr)
{
    struct folding *folding = tree->folding;
    uint32_t count = tree->pending;
    tree->pending = 0;
    return count == 0 ? WEIR_OK
                      : folding->function->combine(folding->aggregate, &folding->memory, tree->into,
                                                   tree->from, count, 0, reterr);
}

static weir_status add_rows(struct tree *tree, uint8_t *state, uint32_t from, uint32_t to,
                            struct weir_error *reterr)
{
    const struct folding *folding = tree->folding;
    for (uint32_t i = folding->before[from]; i < folding->before[to]; i++) {
        if (tree->pending == PENDING)
            WEIR_TRY(flush_rows(tree, reterr));
        tree->rows[tree->pending] = folding->list[i];
        tree->into[tree->pending++] = state;
    }
    return WEIR_OK;
}

static weir_status add_nodes(struct tree *tree, uint32_t level, uint8_t *state, uint32_t from,
                             uint32_t to, struct weir_error *reterr)
{
    for (uint32_t i = from; i < to; i++) {
        if (tree->pending == PENDING)
            WEIR_TRY(flush_nodes(tree, reterr));
        tree->from[tree->pending] = tree->levels[level] + (size_t)i * tree->folding->state_size;
        tree->into[tree->pending++] = state;
    }
    return WEIR_OK;
}

static weir_status tree_build(struct tree *tree, struct weir_error *reterr)
{
    struct folding *folding = tree->folding;
    size_t size = folding->state_size;
    uint32_t below = folding->task->count, level = 0;
    do {
        uint32_t count = (below + FAN - 1) / FAN;
        uint8_t *states;
        WEIR_TRY(weir_arena_alloc(folding->task->arena, count * size + 8, &states, reterr));
        tree->levels[level] = states;
        tree->counts[level] = count;
        for (uint32_t i = 0; i < count; i++) {
            uint32_t from = i * FAN, to = below - from < FAN ? below : from + FAN;
            folding->function->init(folding->aggregate, states + i * size);
            if (level == 0)
                WEIR_TRY(add_rows(tree, states + i * size, from, to, reterr));
            else
                WEIR_TRY(add_nodes(tree, level - 1, states + i * size, from, to, reterr));
        }
        WEIR_TRY(level == 0 ? flush_rows(tree, reterr) : flush_nodes(tree, reterr));
        below = count;
        level++;
    } while (below > FAN && level < LEVEL_MAX);
    tree->level_count = level;
    return WEIR_OK;
}

/* Whole nodes [from, to) of the level, by as few as there are. */
static weir_status nodes_of(struct tree *tree, uint32_t level, uint8_t *state, uint32_t from,
                            uint32_t to, struct weir_error *reterr)
{
    uint32_t first = (from + FAN - 1) / FAN, last = to / FAN;
    if (level + 1 >= tree->level_count || first >= last)
        return add_nodes(tree, level, state, from, to, reterr);
    WEIR_TRY(add_nodes(tree, level, state, from, first * FAN, reterr));
    WEIR_TRY(nodes_of(tree, level + 1, state, first, last, reterr));
    return add_nodes(tree, level, state, last * FAN, to, reterr);
}

enum part_of_piece { LEFT_ROWS, NODES, RIGHT_ROWS };

/* One part of the piece-th piece of each row's frame. */
static weir_status fold_part(struct tree *tree, uint32_t first, uint32_t last, uint32_t piece,
                             enum part_of_piece part, struct weir_error *reterr)
{
    struct folding *folding = tree->folding;
    for (uint32_t row = first; row < last; row++) {
        struct window_piece pieces[3];
        uint8_t *state = folding->states[row];
        if (row > first && state == folding->states[row - 1])
            continue;
        if (window_pieces(folding->task, folding->call, &folding->frames, row, pieces) <= piece)
            continue;
        uint32_t start = pieces[piece].start, end = pieces[piece].end;
        uint32_t from = (start + FAN - 1) / FAN, to = end / FAN;
        if (from >= to)
            WEIR_TRY(part == LEFT_ROWS ? add_rows(tree, state, start, end, reterr) : WEIR_OK);
        else if (part == LEFT_ROWS)
            WEIR_TRY(add_rows(tree, state, start, from * FAN, reterr));
        else if (part == NODES)
            WEIR_TRY(nodes_of(tree, 0, state, from, to, reterr));
        else
            WEIR_TRY(add_rows(tree, state, to * FAN, end, reterr));
    }
    return part == NODES ? flush_nodes(tree, reterr) : flush_rows(tree, reterr);
}

static weir_status fold_chunk(struct tree *tree, uint32_t first, uint32_t last,
                              struct weir_error *reterr)
{
    struct folding *folding = tree->folding;
    uint32_t pieces = folding->call->exclude == WEIR_EXCLUDE_NOTHING ? 1 : 3;
    for (uint32_t row = first; row < last; row++) {
        if (row > first && same_frame(folding, row, row - 1))
            folding->states[row] = folding->states[row - 1];
        else
            WEIR_TRY(state_new(folding, NULL, &folding->states[row], reterr));
    }
    for (uint32_t piece = 0; piece < pieces; piece++)
        for (int part = LEFT_ROWS; part <= RIGHT_ROWS; part++)
            WEIR_TRY(fold_part(tree, first, last, piece, (enum part_of_piece)part, reterr));
    return WEIR_OK;
}

static weir_status fold_sliding(struct folding *folding, struct weir_error *reterr)
{
    struct tree *tree;
    WEIR_TRY(weir_arena_zero(folding->task->arena, 1, sizeof *tree, &tree, reterr));
    tree->folding = folding;
    WEIR_TRY(tree_build(tree, reterr));
    for (uint32_t row = 0; row < folding->task->count; row += CHUNK_ROWS) {
        uint32_t left = folding->task->count - row;
        WEIR_TRY(weir_context_check(folding->task->window->sink.exec->context, reterr));
        WEIR_TRY(fold_chunk(tree, row, row + (left < CHUNK_ROWS ? left : CHUNK_ROWS), reterr));
    }
    return WEIR_OK;
}

/* ---- one call ---- */

weir_status window_aggregate_run(struct window_task *task, const struct weir_window_call *call,
                                 struct window_result *ret_result, struct weir_error *reterr)
{
    size_t count = (size_t)task->count + 1;
    struct folding folding = {.task = task,
                              .call = call,
                              .aggregate = &call->aggregate,
                              .function = call->aggregate.function,
                              .memory = {task->arena}};
    WEIR_TRY(refuse(call, reterr));
    WEIR_TRY(window_frames_make(task, call, &folding.frames, reterr));
    WEIR_TRY(weir_arena_zero(task->arena, call->aggregate.argument_count + 1,
                             sizeof *folding.arguments, &folding.arguments, reterr));
    WEIR_TRY(exec_evaluate(task->window->sink.exec, call->aggregate.arguments,
                           call->aggregate.argument_count, &task->input, task->arena,
                           folding.arguments, reterr));
    WEIR_TRY(call->aggregate.filter ? take_filtered(&folding, reterr) : take_all(&folding, reterr));
    WEIR_TRY(weir_arena_alloc(task->arena, count * sizeof *folding.same, &folding.same, reterr));
    folding.state_size = folding.function->state_size(&call->aggregate);
    if (folding.function->serialize)
        return fold_again(&folding, ret_result, reterr);
    WEIR_TRY(
        weir_arena_alloc(task->arena, count * sizeof *folding.states, &folding.states, reterr));
    WEIR_TRY(grows(call) ? fold_growing(&folding, reterr) : fold_sliding(&folding, reterr));
    return folding.function->finalize(&call->aggregate, folding.states, 0, task->count, task->arena,
                                      &ret_result->vector, reterr);
}
