/* Operators that hold nothing: filter and project; the rows of VALUES; what several operators
 * share. */
#include "engine/exec/driver_int.h"

#include <string.h>

/* ---- keeping what was made ---- */

struct exec_kept {
    struct exec_source *source;
    struct exec_step *step;
    struct exec_sink *sink;
    struct exec_kept *before;
};

static void free_kept(const struct exec_kept *kept)
{
    if (kept->source)
        kept->source->operations->free(kept->source);
    if (kept->step)
        kept->step->operations->free(kept->step);
    if (kept->sink)
        kept->sink->operations->free(kept->sink);
}

static weir_status keep(struct exec *exec, struct exec_kept what, struct weir_error *reterr)
{
    struct exec_kept *kept;
    weir_status status = weir_arena_alloc(&exec->arena, sizeof *kept, &kept, reterr);
    if (status != WEIR_OK) {
        free_kept(&what);
        return status;
    }
    *kept = what;
    kept->before = exec->kept;
    exec->kept = kept;
    return WEIR_OK;
}

weir_status exec_keep_source(struct exec *exec, struct exec_source *source,
                             struct weir_error *reterr)
{
    return keep(exec, (struct exec_kept){.source = source}, reterr);
}

weir_status exec_keep_step(struct exec *exec, struct exec_step *step, struct weir_error *reterr)
{
    return keep(exec, (struct exec_kept){.step = step}, reterr);
}

weir_status exec_keep_sink(struct exec *exec, struct exec_sink *sink, struct weir_error *reterr)
{
    return keep(exec, (struct exec_kept){.sink = sink}, reterr);
}

void exec_release_to(struct exec *exec, struct exec_kept *before)
{
    for (; exec->kept != before; exec->kept = exec->kept->before)
        free_kept(exec->kept);
}

/* ---- shared ---- */

bool exec_should_spill(const struct exec *exec)
{
    for (const struct weir_account *account = exec->account; account; account = account->parent) {
        size_t limit = account->limit;
        if (limit && atomic_load_explicit(&account->used, memory_order_relaxed) > limit / 4 * 3)
            return exec->options->spill != NULL;
    }
    return false;
}

weir_status exec_evaluate(struct exec *exec, struct weir_node *const *expressions, uint32_t count,
                          const struct weir_batch *batch, struct weir_arena *arena,
                          struct weir_vector *ret_values, struct weir_error *reterr)
{
    for (uint32_t i = 0; i < count; i++) {
        int location = -1;
        weir_status status = weir_node_value_of(expressions[i], batch, arena, &ret_values[i],
                                                &location, reterr);
        if (status != WEIR_OK) {
            if (location >= 0)
                atomic_store(&exec->location, location);
            return status;
        }
    }
    return WEIR_OK;
}

weir_status exec_slice(struct weir_arena *arena, const struct weir_batch *batch,
                       const struct weir_selection *selection, struct weir_batch *ret_batch,
                       struct weir_error *reterr)
{
    struct weir_vector *columns;
    if (!selection->rows) {
        *ret_batch = *batch;
        return WEIR_OK;
    }
    uint32_t width = batch->type->child_count;
    WEIR_TRY(weir_arena_zero(arena, width + 1, sizeof *columns, &columns, reterr));
    for (uint32_t i = 0; i < width; i++)
        WEIR_TRY(weir_vector_slice(arena, &batch->columns[i], selection->rows, selection->count,
                                   &columns[i], reterr));
    *ret_batch = (struct weir_batch){
        .type = batch->type, .count = selection->count, .columns = columns};
    return WEIR_OK;
}

/* ---- forcing vector kinds ---- */

static weir_status push_single_rows(struct exec_chain *next, const struct weir_batch *batch,
                                    struct weir_arena *arena, struct weir_error *reterr)
{
    uint32_t width = batch->type->child_count;
    for (uint32_t row = 0; row < batch->count; row++) {
        struct weir_selection one = {.count = 1, .rows = &row};
        struct weir_batch single;
        WEIR_TRY(exec_slice(arena, batch, &one, &single, reterr));
        for (uint32_t i = 0; i < width; i++) {
            WEIR_TRY(weir_vector_flatten(arena, &single.columns[i], &single.columns[i], reterr));
            single.columns[i].kind = WEIR_CONSTANT;
        }
        WEIR_TRY(exec_push(next, &single, reterr));
    }
    return WEIR_OK;
}

/* The same rows by a dictionary that lists them backwards. */
static weir_status reversed_dictionary(struct weir_arena *arena, struct weir_vector *vector,
                                       struct weir_error *reterr)
{
    uint32_t count = vector->count, *backwards;
    struct weir_vector *dictionary, flat;
    if (weir_type_is_nested(vector->type->id))
        return weir_vector_flatten(arena, vector, vector, reterr);
    WEIR_TRY(weir_arena_alloc(arena, (count + 1) * sizeof *backwards, &backwards, reterr));
    for (uint32_t i = 0; i < count; i++)
        backwards[i] = count - 1 - i;
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *dictionary, &dictionary, reterr));
    WEIR_TRY(weir_vector_flatten(arena, vector, &flat, reterr));
    struct weir_selection selection = {.count = count, .rows = backwards};
    WEIR_TRY(weir_vector_gather(arena, &flat, &selection, dictionary, reterr));
    *vector = (struct weir_vector){.type = vector->type,
                                   .kind = WEIR_DICTIONARY,
                                   .count = count,
                                   .null_count = flat.null_count,
                                   .validity = flat.validity,
                                   .indices = backwards,
                                   .dictionary = dictionary};
    return WEIR_OK;
}

weir_status exec_push_forced(struct exec_chain *next, const struct weir_batch *batch,
                             struct exec *exec, struct weir_arena *arena, struct weir_error *reterr)
{
    struct weir_batch forced = *batch;
    uint32_t width = batch->type->child_count;
    if (exec->options->force == WEIR_CONSTANT)
        return push_single_rows(next, batch, arena, reterr);
    if (exec->options->force != WEIR_DICTIONARY)
        return exec_push(next, batch, reterr);
    WEIR_TRY(weir_arena_zero(arena, width + 1, sizeof *forced.columns, &forced.columns, reterr));
    for (uint32_t i = 0; i < width; i++) {
        forced.columns[i] = batch->columns[i];
        WEIR_TRY(reversed_dictionary(arena, &forced.columns[i], reterr));
    }
    return exec_push(next, &forced, reterr);
}

/* ---- filter, project ---- */

struct stream {
    struct exec_step step;
};

static weir_status stream_begin(struct exec_step *step, size_t morsel, void **ret_local,
                                struct weir_error *reterr)
{
    struct weir_arena *arena;
    (void)morsel;
    WEIR_TRY(weir_alloc_zero(step->exec->account, 1, sizeof *arena, &arena, reterr));
    weir_arena_init(arena, step->exec->account);
    *ret_local = arena;
    return WEIR_OK;
}

static void stream_end(struct exec_step *step, void *local)
{
    (void)step;
    if (local)
        weir_arena_done(local);
    weir_free(local);
}

static void stream_free(struct exec_step *step)
{
    weir_free(step);
}

static weir_status filter_batch(struct exec_step *step, void *local, const struct weir_batch *batch,
                                struct exec_chain *next, struct weir_error *reterr)
{
    struct weir_arena *arena = local;
    struct weir_selection selection;
    struct weir_batch kept;
    int location = -1;
    weir_arena_reset(arena);
    weir_status status = weir_node_select(step->operator->filter, batch, arena, &selection,
                                          &location, reterr);
    if (status != WEIR_OK) {
        if (location >= 0)
            atomic_store(&step->exec->location, location);
        return status;
    }
    if (selection.count == 0)
        return WEIR_OK;
    WEIR_TRY(exec_slice(arena, batch, &selection, &kept, reterr));
    return exec_push(next, &kept, reterr);
}

static weir_status project_batch(struct exec_step *step, void *local,
                                 const struct weir_batch *batch, struct exec_chain *next,
                                 struct weir_error *reterr)
{
    struct weir_arena *arena = local;
    const struct weir_operator *operator= step->operator;
    struct weir_batch made = {.type = &operator->type, .count = batch->count};
    weir_arena_reset(arena);
    WEIR_TRY(weir_arena_zero(arena, operator->expression_count + 1, sizeof *made.columns,
                             &made.columns, reterr));
    WEIR_TRY(exec_evaluate(step->exec, operator->expressions, operator->expression_count, batch,
                           arena, made.columns, reterr));
    return exec_push(next, &made, reterr);
}

static const struct exec_step_operations filter_operations = {
    .begin = stream_begin, .batch = filter_batch, .end = stream_end, .free = stream_free};
static const struct exec_step_operations project_operations = {
    .begin = stream_begin, .batch = project_batch, .end = stream_end, .free = stream_free};

static weir_status stream_new(struct exec *exec, struct weir_operator *operator,
                              const struct exec_step_operations * operations,
                              struct exec_step **ret_step, struct weir_error *reterr)
{
    struct exec_step *step;
    WEIR_TRY(weir_alloc_zero(exec->account, 1, sizeof *step, &step, reterr));
    *step = (struct exec_step){.operations = operations, .exec = exec, .operator= operator};
    *ret_step = step;
    return WEIR_OK;
}

weir_status exec_filter_new(struct exec *exec, struct weir_operator *operator,
                            struct exec_step ** ret_step, struct weir_error *reterr)
{
    return stream_new(exec, operator, & filter_operations, ret_step, reterr);
}

weir_status exec_project_new(struct exec *exec, struct weir_operator *operator,
                             struct exec_step ** ret_step, struct weir_error *reterr)
{
    return stream_new(exec, operator, & project_operations, ret_step, reterr);
}

/* ---- VALUES ---- */

struct values_source {
    struct exec_source source;
};
struct values_reader {
    struct exec_reader *unused;
    struct exec_source *source;
    uint64_t at;
};

static size_t values_morsels(const struct exec_source *source)
{
    return source->operator->value_row_count ? 1 : 0;
}

static weir_status values_open(struct exec_source *source, size_t morsel,
                               struct exec_reader **ret_reader, struct weir_error *reterr)
{
    struct values_reader *reader;
    (void)morsel;
    WEIR_TRY(weir_alloc_zero(source->exec->account, 1, sizeof *reader, &reader, reterr));
    reader->source = source;
    *ret_reader = (struct exec_reader *)reader;
    return WEIR_OK;
}

/* One row a batch: VALUES lists are short. */
static weir_status values_next(struct exec_reader *opaque, struct weir_arena *arena,
                               struct weir_batch *ret_batch, struct weir_error *reterr)
{
    struct values_reader *reader = (struct values_reader *)opaque;
    const struct weir_operator *operator= reader->source->operator;
    static const struct weir_type no_columns = {.id = WEIR_STRUCT};
    struct weir_batch nothing = {.type = &no_columns, .count = 1},
                      made = {.type = &operator->type, .count = 1};
    uint32_t width = operator->type.child_count;
    if (reader->at == operator->value_row_count)
        return WEIR_OK;
    WEIR_TRY(weir_arena_zero(arena, width + 1, sizeof *made.columns, &made.columns, reterr));
    struct weir_node *const *row = width ? operator->values + reader->at * width : NULL;
    WEIR_TRY(
        exec_evaluate(reader->source->exec, row, width, &nothing, arena, made.columns, reterr));
    reader->at++;
    *ret_batch = made;
    return WEIR_OK;
}

static void values_close(struct exec_reader *reader)
{
    weir_free(reader);
}

static void values_free(struct exec_source *source)
{
    weir_free(source);
}

static const struct exec_source_operations values_operations = {.morsel_count = values_morsels,
                                                                .open = values_open,
                                                                .next = values_next,
                                                                .close = values_close,
                                                                .free = values_free};

weir_status exec_values_new(struct exec *exec, struct weir_operator *operator,
                            struct exec_source ** ret_source, struct weir_error *reterr)
{
    struct values_source *source;
    WEIR_TRY(weir_alloc_zero(exec->account, 1, sizeof *source, &source, reterr));
    source->source = (struct exec_source){
        .operations = &values_operations, .exec = exec, .operator= operator};
    *ret_source = &source->source;
    return WEIR_OK;
}
