/* UNNEST: lists and maps side by side, an output row for each element. */
#include "engine/exec/exec_int.h"

#include <string.h>

struct unnest_local {
    struct weir_arena arena;        /* of one input batch */
    struct weir_arena output_arena; /* of one output batch */
};

/* Where the elements of one input row are, and which come out next. */
struct unnest_input {
    const struct weir_batch *batch;
    struct weir_vector *lists; /* flat */
    uint32_t row, element;     /* next to come out */
};

static weir_status unnest_begin(struct exec_step *step, size_t morsel, void **ret_local,
                                struct weir_error *reterr)
{
    struct unnest_local *local;
    WEIR_TRY(weir_alloc_zero(step->exec->account, 1, sizeof *local, &local, reterr));
    weir_arena_init(&local->arena, step->exec->account);
    weir_arena_init(&local->output_arena, step->exec->account);
    *ret_local = local;
    return WEIR_OK;
}

static void unnest_end(struct exec_step *step, void *opaque)
{
    struct unnest_local *local = opaque;
    if (!local)
        return;
    weir_arena_done(&local->arena);
    weir_arena_done(&local->output_arena);
    weir_free(local);
}

static uint32_t list_size(const struct weir_vector *list, uint32_t row)
{
    if (!weir_vector_valid(list, row))
        return 0;
    return (uint32_t)(list->offsets[row + 1] - list->offsets[row]);
}

/* Elements side by side of the row: the longest list counts. */
static uint32_t row_size(const struct weir_operator *operator, const struct unnest_input * input,
                         uint32_t row)
{
    uint32_t most = 0;
    for (uint32_t e = 0; e < operator->expression_count; e++) {
        uint32_t size = list_size(&input->lists[e], row);
        most = size > most ? size : most;
    }
    return most == 0 && operator->outer ? 1 : most;
}

/* ---- columns of elements ---- */

/* `count` nulls. */
static weir_status null_vector(struct weir_arena *arena, const struct weir_type *type,
                               uint32_t count, struct weir_vector *ret_vector,
                               struct weir_error *reterr)
{
    struct weir_vector vector;
    WEIR_TRY(weir_vector_make(arena, type, count, 0, &vector, reterr));
    vector.count = count;
    vector.null_count = count;
    WEIR_TRY(weir_arena_zero(arena, count / 8 + 64, 1, &vector.validity, reterr));
    if (vector.offsets)
        memset(vector.offsets, 0, (count + (size_t)1) * sizeof *vector.offsets);
    if (weir_type_width(type))
        memset(vector.values, 0, (size_t)count * weir_type_width(type));
    for (uint32_t c = 0; type->id == WEIR_STRUCT && c < type->child_count; c++)
        WEIR_TRY(null_vector(arena, &type->children[c].type, count, &vector.children[c], reterr));
    *ret_vector = vector;
    return WEIR_OK;
}

/* Nested values by way of rows of bytes: padding must be nulls without elements. */
static weir_status pick_nested(struct weir_arena *arena, const struct weir_vector *child,
                               const uint32_t *at, uint32_t count, struct weir_vector *ret_vector,
                               struct weir_error *reterr)
{
    struct weir_row_layout layout;
    uint32_t *rows, *sizes, used = 0;
    uint8_t **places, **written;
    WEIR_TRY(weir_row_layout_init(arena, child->type, 1, 0, false, &layout, reterr));
    WEIR_TRY(weir_arena_alloc(arena, (count + 1) * sizeof *rows, &rows, reterr));
    WEIR_TRY(weir_arena_alloc(arena, (count + 1) * sizeof *sizes, &sizes, reterr));
    WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof *places, &places, reterr));
    WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof *written, &written, reterr));
    for (uint32_t i = 0; i < count; i++)
        if (at[i] != UINT32_MAX)
            rows[used++] = at[i];
    WEIR_TRY(weir_rows_size(&layout, child, rows, used, sizes, reterr));
    used = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (at[i] == UINT32_MAX)
            continue;
        WEIR_TRY(weir_arena_alloc(arena, sizes[used], &places[i], reterr));
        written[used++] = places[i];
    }
    weir_rows_write(&layout, child, rows, used, written);
    return weir_rows_read(&layout, 0, places, count, arena, ret_vector, reterr);
}

/* The child's values at `at`, which is used up; UINT32_MAX = null. */
static weir_status pick(struct weir_arena *arena, const struct weir_vector *child, uint32_t *at,
                        uint32_t count, struct weir_vector *ret_vector, struct weir_error *reterr)
{
    uint32_t padded = 0;
    uint8_t *validity;
    for (uint32_t i = 0; i < count; i++)
        padded += at[i] == UINT32_MAX;
    if (padded == count)
        return null_vector(arena, child->type, count, ret_vector, reterr);
    if (!padded)
        return weir_vector_slice(arena, child, at, count, ret_vector, reterr);
    if (weir_type_is_nested(child->type->id))
        return pick_nested(arena, child, at, count, ret_vector, reterr);
    WEIR_TRY(weir_arena_zero(arena, count / 8 + 64, 1, &validity, reterr));
    uint32_t nulls = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool valid = at[i] != UINT32_MAX && weir_vector_valid(child, at[i]);
        if (valid)
            weir_bit_set(validity, i);
        nulls += !valid;
    }
    uint32_t value = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (at[i] == UINT32_MAX)
            at[i] = value;
        value = at[i];
    }
    WEIR_TRY(weir_vector_slice(arena, child, at, count, ret_vector, reterr));
    ret_vector->validity = validity;
    ret_vector->null_count = nulls;
    return WEIR_OK;
}

/* ---- output ---- */

struct unnest_output {
    uint32_t *rows;     /* input row of each output row */
    uint32_t *elements; /* 0-based number of its elements; UINT32_MAX: the row of an empty list */
    uint32_t count;
};

static void fill_output(const struct weir_operator *operator, struct unnest_input * input,
                        uint32_t most, struct unnest_output *output)
{
    output->count = 0;
    while (input->row < input->batch->count && output->count < most) {
        uint32_t size = row_size(operator, input, input->row);
        for (; input->element < size && output->count < most; input->element++) {
            output->rows[output->count] = input->row;
            output->elements[output->count++] = input->element;
        }
        if (input->element < size)
            return;
        input->row++;
        input->element = 0;
    }
}

static weir_status ordinals(struct weir_arena *arena, const struct weir_operator *operator,
                            const struct unnest_input * input, const struct unnest_output *output,
                            const struct weir_type *type, struct weir_vector *ret_vector,
                            struct weir_error *reterr)
{
    struct weir_vector vector;
    uint32_t nulls = 0;
    WEIR_TRY(weir_vector_make(arena, type, output->count, 0, &vector, reterr));
    WEIR_TRY(weir_arena_zero(arena, output->count / 8 + 64, 1, &vector.validity, reterr));
    for (uint32_t i = 0; i < output->count; i++) {
        bool empty = true; /* the one row of empty lists has no number */
        for (uint32_t e = 0; e < operator->expression_count; e++)
            empty &= list_size(&input->lists[e], output->rows[i]) == 0;
        uint32_t number = empty ? 0 : output->elements[i] + 1;
        if (weir_type_width(type) == 8)
            ((int64_t *)vector.values)[i] = number;
        else
            ((int32_t *)vector.values)[i] = (int32_t)number;
        if (!empty)
            weir_bit_set(vector.validity, i);
        nulls += empty;
    }
    vector.count = output->count;
    vector.null_count = nulls;
    vector.validity = nulls ? vector.validity : NULL;
    *ret_vector = vector;
    return WEIR_OK;
}

static weir_status element_columns(struct weir_arena *arena, const struct weir_vector *list,
                                   const struct unnest_output *output, struct weir_vector *columns,
                                   struct weir_error *reterr)
{
    uint32_t *at;
    WEIR_TRY(weir_arena_alloc(arena, (output->count + 1) * sizeof *at, &at, reterr));
    for (uint32_t c = 0; c < list->type->child_count; c++) {
        for (uint32_t i = 0; i < output->count; i++) {
            uint32_t row = output->rows[i], element = output->elements[i];
            at[i] = element < list_size(list, row) ? (uint32_t)list->offsets[row] + element
                                                   : UINT32_MAX;
        }
        WEIR_TRY(pick(arena, &list->children[c], at, output->count, &columns[c], reterr));
    }
    return WEIR_OK;
}

static weir_status push_output(const struct weir_operator *operator,
                               const struct unnest_input * input,
                               const struct unnest_output *output, struct weir_arena *arena,
                               struct exec_chain *next, struct weir_error *reterr)
{
    struct weir_batch batch = {.type = &operator->type, .count = output->count};
    uint32_t width = input->batch->type->child_count, at = width;
    WEIR_TRY(weir_arena_zero(arena, operator->type.child_count + 1, sizeof *batch.columns,
                             &batch.columns, reterr));
    for (uint32_t c = 0; c < width; c++)
        WEIR_TRY(weir_vector_slice(arena, &input->batch->columns[c], output->rows, output->count,
                                   &batch.columns[c], reterr));
    for (uint32_t e = 0; e < operator->expression_count; e++) {
        WEIR_TRY(element_columns(arena, &input->lists[e], output, &batch.columns[at], reterr));
        at += input->lists[e].type->child_count;
    }
    if (operator->ordinality)
        WEIR_TRY(ordinals(arena, operator, input, output, &operator->type.children[at].type,
                          &batch.columns[at], reterr));
    return exec_push(next, &batch, reterr);
}

static weir_status unnest_batch(struct exec_step *step, void *opaque,
                                const struct weir_batch *batch, struct exec_chain *next,
                                struct weir_error *reterr)
{
    const struct weir_operator *operator= step->operator;
    struct unnest_local *local = opaque;
    struct weir_arena *arena = &local->arena;
    struct unnest_input input = {.batch = batch};
    struct unnest_output output;
    uint32_t most = step->exec->batch_rows;
    weir_arena_reset(arena);
    WEIR_TRY(weir_arena_zero(arena, operator->expression_count + 1, sizeof *input.lists,
                             &input.lists, reterr));
    WEIR_TRY(exec_evaluate(step->exec, operator->expressions, operator->expression_count, batch,
                           arena, input.lists, reterr));
    for (uint32_t e = 0; e < operator->expression_count; e++)
        WEIR_TRY(weir_vector_flatten(arena, &input.lists[e], &input.lists[e], reterr));
    WEIR_TRY(weir_arena_alloc(arena, (most + 1) * sizeof *output.rows, &output.rows, reterr));
    WEIR_TRY(
        weir_arena_alloc(arena, (most + 1) * sizeof *output.elements, &output.elements, reterr));
    while (true) {
        weir_arena_reset(&local->output_arena);
        fill_output(operator, & input, most, &output);
        if (!output.count || atomic_load_explicit(&step->exec->enough, memory_order_relaxed))
            return WEIR_OK;
        WEIR_TRY(weir_context_check(step->exec->context, reterr));
        WEIR_TRY(push_output(operator, & input, &output, &local->output_arena, next, reterr));
    }
}

static void unnest_free(struct exec_step *step)
{
    weir_free(step);
}

static const struct exec_step_operations unnest_operations = {
    .begin = unnest_begin, .batch = unnest_batch, .end = unnest_end, .free = unnest_free};

weir_status exec_unnest_new(struct exec *exec, struct weir_operator *operator,
                            struct exec_step ** ret_step, struct weir_error *reterr)
{
    struct exec_step *step;
    WEIR_TRY(weir_alloc_zero(exec->account, 1, sizeof *step, &step, reterr));
    *step = (struct exec_step){.operations = &unnest_operations, .exec = exec, .operator= operator};
    *ret_step = step;
    return WEIR_OK;
}
