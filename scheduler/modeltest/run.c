/* The steps of a test: rows given are landed, the models between them and the tested one are
 * promoted, and then the tested one. */
#include "scheduler/modeltest/modeltest_int.h"

#include <stdio.h>
#include <string.h>

const struct weir_models_table *modeltest_table(const struct weir_modeltest *modeltest,
                                                const char *name)
{
    for (size_t i = 0; i < modeltest->table_count; i++)
        if (strcmp(modeltest->tables[i].config->name, name) == 0)
            return &modeltest->tables[i];
    return NULL;
}

/* ---- what a test reads ---- */

/* Every table on the way to the model, in an order in which each comes behind those it reads. */
struct way {
    const struct weir_models_table **tables;
    bool *given; /* rows of it are given: it is not promoted */
    size_t count;
};

static bool is_given(const struct weir_model_test *test, const char *name)
{
    for (size_t s = 0; s < test->step_count; s++)
        for (size_t i = 0; i < test->steps[s].given_count; i++)
            if (strcmp(test->steps[s].given[i].table, name) == 0)
                return true;
    return false;
}

static weir_status mark(struct weir_modeltest *modeltest, const struct weir_model_test *test,
                        const struct weir_model_config *model, struct weir_arena *arena,
                        bool *wanted, struct weir_error *reterr)
{
    const char *const *names;
    size_t count;
    WEIR_TRY(weir_models_reads(modeltest->options.pipeline, model, arena, &names, &count, reterr));
    for (size_t i = 0; i < count; i++) {
        const struct weir_models_table *table = modeltest_table(modeltest, names[i]);
        if (!table || wanted[table - modeltest->tables])
            continue;
        wanted[table - modeltest->tables] = true;
        if (table->model && !table->model->files && !is_given(test, names[i]))
            WEIR_TRY(mark(modeltest, test, table->model, arena, wanted, reterr));
    }
    return WEIR_OK;
}

static weir_status way_find(struct weir_modeltest *modeltest, const struct weir_model_test *test,
                            struct weir_arena *arena, struct way *ret_way,
                            struct weir_error *reterr)
{
    bool *wanted;
    struct way way = {0};
    WEIR_TRY(weir_arena_zero(arena, modeltest->table_count + 1, sizeof *wanted, &wanted, reterr));
    WEIR_TRY(weir_arena_zero(arena, modeltest->table_count + 1, sizeof *way.tables, &way.tables,
                             reterr));
    WEIR_TRY(
        weir_arena_zero(arena, modeltest->table_count + 1, sizeof *way.given, &way.given, reterr));
    WEIR_TRY(mark(modeltest, test, test->model, arena, wanted, reterr));
    for (size_t i = 0; i < modeltest->table_count; i++) {
        const struct weir_models_table *table = &modeltest->tables[i];
        if (!wanted[i])
            continue;
        /* what files hold is given, or nothing: a test does not look at them unasked */
        way.given[way.count] = !table->model || table->model->files ||
                               is_given(test, table->config->name);
        way.tables[way.count++] = table;
    }
    *ret_way = way;
    return WEIR_OK;
}

/* ---- before any test is run ---- */

static weir_status check_given(struct weir_modeltest *modeltest, const struct weir_test_rows *rows,
                               const struct way *way, struct weir_arena *arena,
                               struct weir_error *reterr)
{
    const char **known;
    struct rows loaded;
    WEIR_TRY(weir_arena_zero(arena, way->count + 1, sizeof *known, &known, reterr));
    for (size_t i = 0; i < way->count; i++) {
        known[i] = way->tables[i]->config->name;
        if (strcmp(known[i], rows->table) == 0)
            return rows_load(modeltest, rows, way->tables[i], arena, &loaded, reterr);
    }
    char *text;
    const char *hint = weir_tests_suggest(modeltest->options.tests, rows->table, known, way->count);
    WEIR_TRY(weir_arena_print(arena, &text, reterr, "the model does not read it%s%s",
                              hint ? "; " : "", hint ? hint : ""));
    weir_tests_complain(modeltest->options.tests, rows, SIZE_MAX, text);
    return WEIR_OK;
}

static weir_status check_test(struct weir_modeltest *modeltest, const struct weir_model_test *test,
                              struct weir_error *reterr)
{
    const struct weir_models_table *own = modeltest_table(modeltest, test->model->table.name);
    struct way way;
    struct rows loaded;
    WEIR_AUTO(weir_arena) arena;
    weir_arena_init(&arena, &modeltest->options.context->memory);
    WEIR_TRY(way_find(modeltest, test, &arena, &way, reterr));
    if (test->has_existing)
        WEIR_TRY(rows_load(modeltest, &test->existing, own, &arena, &loaded, reterr));
    for (size_t s = 0; s < test->step_count; s++) {
        const struct weir_test_step *step = &test->steps[s];
        for (size_t i = 0; i < step->given_count; i++)
            WEIR_TRY(check_given(modeltest, &step->given[i], &way, &arena, reterr));
        if (step->has_expect)
            WEIR_TRY(rows_load(modeltest, &step->expect, own, &arena, &loaded, reterr));
    }
    return WEIR_OK;
}

weir_status weir_modeltest_new(const struct weir_modeltest_options *options,
                               struct weir_modeltest **ret_modeltest, struct weir_error *reterr)
{
    struct weir_modeltest *modeltest;
    WEIR_TRY(weir_alloc_zero(&options->context->memory, 1, sizeof *modeltest, &modeltest, reterr));
    modeltest->options = *options;
    weir_arena_init(&modeltest->arena, &options->context->memory);
    weir_status status = weir_models_types(options->context, options->pipeline, &modeltest->arena,
                                           &modeltest->tables, &modeltest->table_count, reterr);
    for (size_t i = 0; status == WEIR_OK && i < options->tests->count; i++)
        status = check_test(modeltest, &options->tests->tests[i], reterr);
    if (status == WEIR_OK)
        *ret_modeltest = modeltest;
    else
        weir_modeltest_free(modeltest);
    return status;
}

void weir_modeltest_free(struct weir_modeltest *modeltest)
{
    if (!modeltest)
        return;
    weir_arena_done(&modeltest->arena);
    weir_free(modeltest);
}

/* ---- problems ---- */

static void tell_text(struct trial *trial, const char *kind, const char *name, const char *text)
{
    json_array_append_new(trial->problems,
                          json_pack("{s:s, s:s*, s:s, s:I}", "kind", kind, "name", name, "text",
                                    text, "step", (json_int_t)trial->step));
}

/* What no model is to blame for. */
static bool is_fatal(weir_status status)
{
    return status == WEIR_NO_MEMORY || status == WEIR_NO_SPACE || status == WEIR_INTERRUPTED ||
           status == WEIR_STOPPED || status == WEIR_TIMEOUT || status == WEIR_IO;
}

static bool is_listed(const struct weir_test_step *step, const char *name)
{
    for (size_t i = 0; i < step->gate_count; i++)
        if (strcmp(step->gates[i], name) == 0)
            return true;
    return false;
}

/* With `gates`: those and no others do not hold. Without: none that fails. */
static void check_gates(struct trial *trial, const struct weir_test_step *step,
                        const json_t *outcome)
{
    size_t at;
    json_t *gate;
    const json_t *gates = json_object_get(outcome, "gates");
    char text[256];
    for (size_t i = 0; i < step->gate_count; i++) {
        bool broken = false;
        json_array_foreach(gates, at, gate)
            broken |= strcmp(json_string_value(json_object_get(gate, "name")), step->gates[i]) ==
                          0 &&
                      json_integer_value(json_object_get(gate, "rows")) > 0;
        if (!broken)
            tell_text(trial, "gate", step->gates[i], "holds, but is expected not to");
    }
    json_array_foreach(gates, at, gate)
    {
        const char *name = json_string_value(json_object_get(gate, "name")),
                   *verdict = json_string_value(json_object_get(gate, "verdict"));
        json_int_t rows = json_integer_value(json_object_get(gate, "rows"));
        bool counts = step->has_gates || strcmp(verdict, "failed") == 0;
        if (rows == 0 || !counts || is_listed(step, name))
            continue;
        snprintf(text, sizeof text, "does not hold: %lld rows (%s)", (long long)rows, verdict);
        tell_text(trial, "gate", name, text);
    }
}

/* ---- steps ---- */

/* The pipeline without the gates of its models. */
static weir_status without_gates(struct trial *trial, struct weir_pipeline *ret_pipeline,
                                 struct weir_error *reterr)
{
    const struct weir_pipeline *pipeline = trial->modeltest->options.pipeline;
    struct weir_model_config *models;
    WEIR_TRY(
        weir_arena_zero(&trial->arena, pipeline->model_count, sizeof *models, &models, reterr));
    memcpy(models, pipeline->models, pipeline->model_count * sizeof *models);
    for (size_t i = 0; i < pipeline->model_count; i++)
        models[i].gate_count = 0;
    *ret_pipeline = *pipeline;
    ret_pipeline->models = models;
    return WEIR_OK;
}

/* gates NULL: they are left out. */
static weir_status promote(struct trial *trial, const struct weir_model_config *model,
                           const struct weir_test_step *gates, struct weir_error *reterr)
{
    const struct weir_pipeline *pipeline = trial->modeltest->options.pipeline;
    struct weir_pipeline bare;
    if (!gates)
        WEIR_TRY(without_gates(trial, &bare, reterr));
    struct weir_promote_options options = {.lake = &trial->lake,
                                           .pipeline = gates ? pipeline : &bare,
                                           .model = gates ? model
                                                          : &bare.models[model - pipeline->models],
                                           .by_hand = true};
    struct weir_error error = {0};
    json_t *outcome = NULL;
    weir_status status = weir_promote(&options, &outcome, &error);
    if (is_fatal(status)) {
        if (reterr)
            *reterr = error;
    } else {
        bool said = status == WEIR_GATE && model == trial->test->model;
        if (status != WEIR_OK && !said)
            tell_text(trial, "error", NULL, error.text);
        if (gates && model == trial->test->model && (said || status == WEIR_OK))
            check_gates(trial, gates, outcome);
        status = WEIR_OK;
    }
    json_decref(outcome);
    return status;
}

/* Rows of a table that records are added to come on top; of any other, they are what it holds. */
static weir_status give(struct trial *trial, const struct weir_test_step *step,
                        const struct weir_models_table *table, struct weir_error *reterr)
{
    struct rows none = {.type = &table->type}, rows = none;
    bool given = false;
    for (size_t i = 0; i < step->given_count; i++)
        if (strcmp(step->given[i].table, table->config->name) == 0) {
            WEIR_TRY(
                rows_load(trial->modeltest, &step->given[i], table, &trial->arena, &rows, reterr));
            given = true;
        }
    bool adds = !table->model || table->model->mode == WEIR_MODEL_APPEND;
    return lake_land(trial, table, given ? &rows : &none, given && !adds, reterr);
}

static weir_status advance(struct trial *trial, const struct way *way,
                           const struct weir_test_step *step, bool gates, struct weir_error *reterr)
{
    for (size_t i = 0; i < way->count; i++)
        WEIR_TRY(way->given[i]
                     ? give(trial, step, way->tables[i], reterr)
                     : promote(trial, way->tables[i]->model, gates ? step : NULL, reterr));
    return promote(trial, trial->test->model, gates ? step : NULL, reterr);
}

static weir_status run_step(struct trial *trial, const struct way *way,
                            const struct weir_models_table *own, const struct weir_test_step *step,
                            struct weir_error *reterr)
{
    struct rows expected;
    size_t before = json_array_size(trial->problems);
    struct weir_error error = {0};
    if (step->has_now)
        trial->now_ms = step->now_ms;
    WEIR_TRY(advance(trial, way, step, true, reterr));
    if (!step->has_expect || json_array_size(trial->problems) > before)
        return WEIR_OK;
    WEIR_TRY(rows_load(trial->modeltest, &step->expect, own, &trial->arena, &expected, reterr));
    weir_status status = compare_rows(trial, step, &expected, &error);
    if (is_fatal(status)) {
        if (reterr)
            *reterr = error;
        return status;
    }
    if (status != WEIR_OK)
        tell_text(trial, "error", NULL, error.text);
    return WEIR_OK;
}

/* Rows that the model has already: behind a promotion of nothing, which is where it has got to. */
static weir_status put_existing(struct trial *trial, const struct way *way,
                                const struct weir_models_table *own, struct weir_error *reterr)
{
    struct weir_test_step nothing = {0};
    struct rows rows;
    WEIR_TRY(advance(trial, way, &nothing, false, reterr));
    WEIR_TRY(
        rows_load(trial->modeltest, &trial->test->existing, own, &trial->arena, &rows, reterr));
    return lake_land(trial, own, &rows, false, reterr);
}

static weir_status run_steps(struct trial *trial, struct weir_error *reterr)
{
    const struct weir_model_test *test = trial->test;
    const struct weir_models_table *own = modeltest_table(trial->modeltest,
                                                          test->model->table.name);
    struct way way;
    WEIR_TRY(way_find(trial->modeltest, test, &trial->arena, &way, reterr));
    if (test->has_existing)
        WEIR_TRY(put_existing(trial, &way, own, reterr));
    for (size_t i = 0; i < test->step_count && json_array_size(trial->problems) == 0; i++) {
        trial->step = i + 1;
        WEIR_TRY(run_step(trial, &way, own, &test->steps[i], reterr));
    }
    return WEIR_OK;
}

/* ---- time ---- */

static int64_t trial_wall(void *self)
{
    const struct trial *trial = self;
    return trial->now_ms;
}

static int64_t trial_steady(void *self)
{
    const struct trial *trial = self;
    return trial->clock.steady_ms(trial->clock.self);
}

static void trial_sleep(void *self, int64_t duration_ms)
{
    const struct trial *trial = self;
    trial->clock.sleep_ms(trial->clock.self, duration_ms);
}

/* The whole process has the test's time meanwhile. */
static weir_status run_trial(struct trial *trial, const char *folder, struct weir_error *reterr)
{
    struct weir_context *context = trial->modeltest->options.context;
    trial->now_ms = weir_now_ms(context);
    trial->clock = context->clock;
    WEIR_TRY(lake_open(trial->modeltest, folder, &trial->lake, reterr));
    context->clock = (struct weir_clock){trial_wall, trial_steady, trial_sleep, trial};
    weir_status status = run_steps(trial, reterr);
    context->clock = trial->clock;
    weir_lake_close(&trial->lake);
    return status;
}

weir_status weir_modeltest_run(struct weir_modeltest *modeltest, size_t index, json_t **ret_outcome,
                               struct weir_error *reterr)
{
    struct weir_context *context = modeltest->options.context;
    const struct weir_model_test *test = &modeltest->options.tests->tests[index];
    struct trial trial = {.modeltest = modeltest, .test = test};
    int64_t start = weir_steady_ms(context);
    char folder[4100];
    json_t *outcome = json_pack("{s:s, s:s, s:s, s:b, s:i, s:[]}", "name", test->name, "model",
                                test->model->table.name, "location", test->location, "ok", 0,
                                "milliseconds", 0, "problems");
    if (!outcome)
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for an outcome");
    trial.problems = json_object_get(outcome, "problems");
    snprintf(folder, sizeof folder, "%s/%zu", modeltest->options.folder, index);
    weir_arena_init(&trial.arena, &context->memory);
    weir_status status = run_trial(&trial, folder, reterr);
    weir_arena_done(&trial.arena);
    if (status != WEIR_OK) {
        json_decref(outcome);
        return status;
    }
    json_object_set_new(outcome, "ok", json_boolean(json_array_size(trial.problems) == 0));
    json_object_set_new(outcome, "milliseconds",
                        json_integer((json_int_t)(weir_steady_ms(context) - start)));
    *ret_outcome = outcome;
    return WEIR_OK;
}
