/* Files of model tests to structs; rows of YAML to JSON, as the columns' types want it. */
#include "scheduler/pipeline/tests.h"

#include "engine/base/limits.h"
#include "engine/base/text.h"
#include "scheduler/pipeline/pipeline_int.h"

#include <string.h>

#define TEST_FILES_MAX   1000
#define TEST_COUNT_MAX   10000
#define TEST_COLUMNS_MAX 1000 /* that are looked at for "did you mean" */

struct suite {
    struct weir_model_tests tests; /* first: what callers hold */
    struct weir_arena arena;
    struct reading reading;
    const struct weir_pipeline *pipeline;
    struct weir_model_test *items;
};

static struct suite *suite_of(struct weir_model_tests *tests)
{
    return (struct suite *)tests;
}

static const struct node *node_of(const struct weir_test_node *node)
{
    return (const struct node *)node;
}

static const struct weir_test_node *as_place(const struct node *node)
{
    return (const struct weir_test_node *)node;
}

/* ---- keys ---- */

static bool is_map(struct reading *reading, const struct node *node, const char *shown)
{
    if (node->kind == NODE_MAP)
        return true;
    if (!node->broken)
        complain(reading, node, 0, NULL, "%s: expected a map, but there is %s", shown,
                 node_quote(reading, node));
    return false;
}

static void check_keys(struct reading *reading, const struct node *map, const char *shown,
                       const char *const *known, size_t count)
{
    for (size_t i = 0; i < map->count; i++) {
        const struct node *key = map->entries[i].key;
        bool found = false;
        for (size_t k = 0; k < count; k++)
            found |= node_is(key, known[k]);
        const char *hint = found ? NULL : suggest(reading, key->text, known, count);
        if (!found && !hint) {
            hint = take_print(reading, "known here: %s", known[0]);
            for (size_t k = 1; k < count && hint; k++)
                hint = take_print(reading, "%s, %s", hint, known[k]);
        }
        if (!found)
            complain(reading, key, 0, hint, "%s%sunknown key %s", shown, *shown ? ": " : "",
                     node_quote(reading, key));
    }
}
#define CHECK_KEYS(reading, map, shown, known)                                                     \
    check_keys(reading, map, shown, known, sizeof known / sizeof *known)

static const char *text_of(struct reading *reading, const struct node *map, const char *name,
                           const char *shown)
{
    const struct node *node = node_get(map, name);
    if (!node)
        return NULL;
    if (node->kind == NODE_SCALAR && strlen(node->text) == node->size && node->size)
        return node->text;
    complain(reading, node, 0, NULL, "%s.%s: expected a text, but there is %s", shown, name,
             node_quote(reading, node));
    return NULL;
}

/* ---- rows ---- */

static bool ends_in(const char *text, const char *end)
{
    size_t size = strlen(text), tail = strlen(end);
    return size >= tail && strcmp(text + size - tail, end) == 0;
}

/* [rows], {rows: [...]}, {file: ...} or {csv: ...}; others: keys beside these. */
static bool bind_rows(struct reading *reading, const struct node *node, const char *shown,
                      bool expected, struct weir_test_rows *ret_rows)
{
    static const char *const known[] = {"rows", "file", "csv", "tolerance"};
    ret_rows->at = as_place(node);
    if (node->kind == NODE_LIST) {
        ret_rows->rows = as_place(node);
        return true;
    }
    if (node->kind != NODE_MAP) {
        complain(reading, node, 0, "a list of rows, or {file: ...}, or {csv: ...}",
                 "%s: expected rows, but there is %s", shown, node_quote(reading, node));
        return false;
    }
    check_keys(reading, node, shown, known, expected ? 4 : 3);
    const struct node *rows = node_get(node, "rows");
    const char *file = text_of(reading, node, "file", shown);
    ret_rows->csv = text_of(reading, node, "csv", shown);
    if (rows && rows->kind != NODE_LIST)
        complain(reading, rows, 0, NULL, "%s.rows: expected a list, but there is %s", shown,
                 node_quote(reading, rows));
    else
        ret_rows->rows = as_place(rows);
    ret_rows->file = get_path(reading, file);
    if ((ret_rows->rows != NULL) + (file != NULL) + (ret_rows->csv != NULL) == 1) {
        if (!file || ends_in(file, ".ndjson") || ends_in(file, ".json") || ends_in(file, ".csv") ||
            ends_in(file, ".parquet"))
            return true;
        complain(reading, node_get(node, "file"), 0, NULL,
                 "%s.file: expected a name ending in .ndjson, .json, .csv or .parquet", shown);
        return false;
    }
    complain(reading, node, 0, NULL, "%s: one of rows, file and csv", shown);
    return false;
}

/* ---- steps ---- */

struct at {
    struct suite *suite;
    struct reading *reading;
    const char *shown;
};

static const char **known_tables(struct at *at, size_t *ret_count)
{
    const struct weir_pipeline *pipeline = at->suite->pipeline;
    size_t count = 0;
    const char **names = take(at->reading, pipeline->table_count + pipeline->model_count + 1,
                              sizeof *names);
    for (size_t i = 0; names && i < pipeline->table_count; i++)
        names[count++] = pipeline->tables[i].name;
    for (size_t i = 0; names && i < pipeline->model_count; i++)
        names[count++] = pipeline->models[i].table.name;
    *ret_count = count;
    return names;
}

static void bind_given(struct at *at, const struct node *given, struct weir_test_step *step)
{
    size_t known_count;
    const char **known = known_tables(at, &known_count);
    const char *shown = take_print(at->reading, "%s.given", at->shown);
    if (!given || !known || !shown || !is_map(at->reading, given, shown))
        return;
    struct weir_test_rows *rows = take(at->reading, given->count + 1, sizeof *rows);
    step->given = rows;
    for (size_t i = 0; rows && i < given->count; i++) {
        const struct node *key = given->entries[i].key;
        const char *name = take_print(at->reading, "%s.%s", shown, key->text);
        bool found = false;
        for (size_t k = 0; k < known_count; k++)
            found |= node_is(key, known[k]);
        if (!found) {
            complain(at->reading, key, 0, suggest(at->reading, key->text, known, known_count),
                     "%s: the pipeline file has no table %s", shown, node_quote(at->reading, key));
            continue;
        }
        rows[step->given_count].table = key->text;
        if (name &&
            bind_rows(at->reading, given->entries[i].value, name, false, &rows[step->given_count]))
            step->given_count++;
    }
}

static void bind_expect(struct at *at, const struct node *expect, struct weir_test_step *step)
{
    const char *shown = take_print(at->reading, "%s.expect", at->shown);
    if (!expect || !shown)
        return;
    step->has_expect = bind_rows(at->reading, expect, shown, true, &step->expect);
    const struct node *tolerance = expect->kind == NODE_MAP ? node_get(expect, "tolerance") : NULL;
    if (tolerance && (tolerance->kind != NODE_SCALAR ||
                      !weir_text_double(tolerance->text, tolerance->size, &step->tolerance) ||
                      !(step->tolerance >= 0)))
        complain(at->reading, tolerance, 0, "as in 1e-9",
                 "%s.tolerance: expected a number, but there is %s", shown,
                 node_quote(at->reading, tolerance));
}

static void bind_gate_names(struct at *at, const struct node *map,
                            const struct weir_model_config *model, struct weir_test_step *step)
{
    const struct node *list = node_get_key(map, "gates") ? node_get(map, "gates") : NULL;
    if (!list)
        return;
    step->has_gates = true;
    step->gates = get_texts(at->reading, map, "gates", &step->gate_count);
    const char **known = take(at->reading, model ? model->gate_count + 1 : 1, sizeof *known);
    for (size_t i = 0; known && model && i < model->gate_count; i++)
        known[i] = model->gates[i].name;
    for (size_t i = 0; known && model && i < list_size(list); i++) {
        const struct node *item = list_item(list, i);
        bool found = false;
        for (size_t k = 0; k < model->gate_count; k++)
            found |= node_is(item, known[k]);
        if (!found)
            complain(at->reading, item, 0,
                     item->kind == NODE_SCALAR
                         ? suggest(at->reading, item->text, known, model->gate_count)
                         : NULL,
                     "%s.gates: %s has no expectation %s", at->shown, model->table.name,
                     node_quote(at->reading, item));
    }
}

static void bind_now(struct at *at, const struct node *map, struct weir_test_step *step)
{
    const struct node *now = node_get(map, "now");
    int64_t micros;
    if (!now)
        return;
    if (now->kind != NODE_SCALAR || !weir_text_timestamptz(now->text, now->size, &micros)) {
        complain(at->reading, now, 0, "as in 2026-01-31T12:00:00Z",
                 "%s.now: expected a time with its zone, but there is %s", at->shown,
                 node_quote(at->reading, now));
        return;
    }
    step->has_now = true;
    step->now_ms = micros / 1000;
}

static void bind_step(struct at *at, const struct node *map, const struct weir_model_config *model,
                      struct weir_test_step *step)
{
    step->location = node_location(at->reading, map);
    bind_now(at, map, step);
    bind_given(at, node_get(map, "given"), step);
    bind_expect(at, node_get(map, "expect"), step);
    bind_gate_names(at, map, model, step);
}

static void bind_steps(struct at *at, const struct node *list, struct weir_model_test *test,
                       const struct weir_test_step *common)
{
    static const char *const known[] = {"now", "given", "expect", "gates"};
    struct weir_test_step *steps = take(at->reading, list->count + 1, sizeof *steps);
    test->steps = steps;
    for (size_t i = 0; steps && i < list->count; i++) {
        const struct node *map = list->entries[i].value;
        struct at below = {at->suite, at->reading,
                           take_print(at->reading, "%s.steps[%zu]", at->shown, i)};
        if (!below.shown || !is_map(at->reading, map, below.shown))
            continue;
        CHECK_KEYS(at->reading, map, below.shown, known);
        steps[test->step_count].has_now = common->has_now;
        steps[test->step_count].now_ms = common->now_ms;
        bind_step(&below, map, test->model, &steps[test->step_count++]);
    }
    if (list->count == 0)
        complain(at->reading, list, 0, NULL, "%s.steps: there is none", at->shown);
}

/* ---- tests ---- */

static const struct weir_model_config *bind_model(struct at *at, const struct node *map)
{
    const struct weir_pipeline *pipeline = at->suite->pipeline;
    const char *name = text_of(at->reading, map, "model", at->shown);
    const char **known = take(at->reading, pipeline->model_count + 1, sizeof *known);
    if (!node_get(map, "model"))
        complain(at->reading, map, 0, NULL, "%s: 'model' is missing", at->shown);
    for (size_t i = 0; name && known && i < pipeline->model_count; i++) {
        known[i] = pipeline->models[i].table.name;
        if (strcmp(known[i], name) != 0)
            continue;
        if (!pipeline->models[i].files)
            return &pipeline->models[i];
        complain(at->reading, node_get(map, "model"), 0, NULL,
                 "%s.model: %s is what its files hold: there is no SQL to test", at->shown, name);
        return NULL;
    }
    if (name && known)
        complain(at->reading, node_get(map, "model"), 0,
                 suggest(at->reading, name, known, pipeline->model_count),
                 "%s.model: the pipeline file has no model %s", at->shown,
                 node_quote(at->reading, node_get(map, "model")));
    return NULL;
}

static void check_whole(struct at *at, const struct node *map, const struct weir_model_test *test)
{
    static const char *const both[] = {"given", "expect", "gates"};
    bool looks = false;
    for (size_t i = 0; i < 3; i++)
        if (node_get_key(map, "steps") && node_get_key(map, both[i]))
            complain(at->reading, node_get_key(map, both[i]), 0, "give it in a step",
                     "%s: %s or steps, not both", at->shown, both[i]);
    for (size_t i = 0; i < test->step_count; i++)
        looks |= test->steps[i].has_expect || test->steps[i].has_gates;
    if (!looks && !node_get_key(map, "expect") && !node_get_key(map, "gates") &&
        !node_get_key(map, "steps"))
        complain(at->reading, map, 0, NULL, "%s: 'expect' is missing", at->shown);
    if (test->model->mode != WEIR_MODEL_VIEW)
        return;
    if (test->has_existing)
        complain(at->reading, node_get_key(map, "existing"), 0, NULL,
                 "%s.existing: %s is a view, which has no rows of its own", at->shown,
                 test->model->table.name);
}

static void bind_test(struct at *at, const struct node *map)
{
    static const char *const known[] = {"name",   "model", "description", "now",  "given",
                                        "expect", "gates", "existing",    "steps"};
    struct weir_model_test *test = &at->suite->items[at->suite->tests.count];
    CHECK_KEYS(at->reading, map, at->shown, known);
    test->location = node_location(at->reading, map);
    test->name = text_of(at->reading, map, "name", at->shown);
    test->model = bind_model(at, map);
    if (!node_get(map, "name"))
        complain(at->reading, map, 0, NULL, "%s: 'name' is missing", at->shown);
    if (!test->model)
        return;
    const struct node *existing = node_get(map, "existing"), *steps = node_get(map, "steps");
    const char *shown = take_print(at->reading, "%s.existing", at->shown);
    test->has_existing = existing && shown &&
                         bind_rows(at->reading, existing, shown, false, &test->existing);
    struct weir_test_step *only = take(at->reading, 1, sizeof *only);
    if (!only)
        return;
    if (steps && steps->kind == NODE_LIST) {
        bind_now(at, map, only);
        bind_steps(at, steps, test, only);
    } else {
        if (steps)
            complain(at->reading, steps, 0, NULL, "%s.steps: expected a list, but there is %s",
                     at->shown, node_quote(at->reading, steps));
        bind_step(at, map, test->model, only);
        test->steps = only;
        test->step_count = 1;
    }
    check_whole(at, map, test);
    at->suite->tests.count++;
}

static void bind_file(struct suite *suite, const struct node *root)
{
    static const char *const known[] = {"version", "tests"};
    struct reading *reading = &suite->reading;
    CHECK_KEYS(reading, root, "", known);
    const struct node *list = node_get(root, "tests");
    if (!list || list->kind != NODE_LIST) {
        complain(reading, list ? list : root, 0, "tests: [{name: ..., model: ...}]",
                 list ? "tests: expected a list" : "'tests' is missing");
        return;
    }
    for (size_t i = 0; i < list->count && !complain_full(reading); i++) {
        const struct node *map = list->entries[i].value;
        struct at at = {suite, reading, take_print(reading, "tests[%zu]", i)};
        if (suite->tests.count == TEST_COUNT_MAX) {
            complain(reading, map, 0, NULL, "more than %d tests", TEST_COUNT_MAX);
            return;
        }
        if (at.shown && is_map(reading, map, at.shown))
            bind_test(&at, map);
    }
}

static weir_status open_file(struct suite *suite, const char *path, struct weir_error *reterr)
{
    struct reading *reading = &suite->reading;
    struct source_file *file = &reading->files[reading->file_count];
    const char *slash = strrchr(path, '/');
    char *text;
    size_t size;
    WEIR_TRY(weir_arena_copy(&suite->arena, path, strlen(path), &text, reterr));
    file->path = text;
    WEIR_TRY(file_read(reading, path, path, WEIR_PIPELINE_FILE_SIZE_MAX, &text, &size, reterr));
    file->text = text;
    file->size = size;
    WEIR_TRY(weir_arena_copy(&suite->arena, slash ? path : ".", slash ? (size_t)(slash - path) : 1,
                             &text, reterr));
    reading->directory = *text ? text : "/";
    struct node *root = tree_read(reading, (int)reading->file_count++);
    if (root && reading->status == WEIR_OK)
        bind_file(suite, root);
    if (reading->status != WEIR_OK && reterr)
        *reterr = reading->error;
    return reading->status;
}

weir_status weir_tests_read(struct weir_context *context, const struct weir_pipeline *pipeline,
                            const char *const *files, size_t file_count,
                            struct weir_model_tests **ret_tests, struct weir_error *reterr)
{
    struct suite *suite;
    if (file_count > TEST_FILES_MAX)
        return weir_fail(reterr, WEIR_USAGE, "more than %d files of tests", TEST_FILES_MAX);
    WEIR_TRY(weir_alloc_zero(&context->memory, 1, sizeof *suite, &suite, reterr));
    weir_arena_init(&suite->arena, &context->memory);
    suite->reading = (struct reading){.context = context, .arena = &suite->arena};
    suite->pipeline = pipeline;
    weir_status status = weir_arena_zero(
        &suite->arena, file_count + 1, sizeof *suite->reading.files, &suite->reading.files, reterr);
    if (status == WEIR_OK)
        status = weir_arena_zero(&suite->arena, TEST_COUNT_MAX, sizeof *suite->items, &suite->items,
                                 reterr);
    suite->tests.tests = suite->items;
    for (size_t i = 0; status == WEIR_OK && i < file_count; i++)
        status = open_file(suite, files[i], reterr);
    if (status != WEIR_OK) {
        weir_tests_free(&suite->tests);
        if (status == WEIR_NOT_FOUND || status == WEIR_IO) {
            if (reterr)
                reterr->status = WEIR_USAGE;
            return WEIR_USAGE;
        }
        return status;
    }
    *ret_tests = &suite->tests;
    return WEIR_OK;
}

void weir_tests_free(struct weir_model_tests *tests)
{
    if (!tests)
        return;
    struct suite *suite = suite_of(tests);
    weir_arena_done(&suite->arena);
    weir_free(suite);
}

/* ---- rows to JSON ---- */

struct json {
    struct reading *reading;
    struct weir_buffer *out;
    struct weir_error *reterr;
};

static weir_status put(struct json *json, const char *text)
{
    return weir_buffer_append(json->out, text, strlen(text), json->reterr);
}

static weir_status put_text(struct json *json, const char *text, size_t size)
{
    WEIR_TRY(put(json, "\""));
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\')
            WEIR_TRY(weir_buffer_print(json->out, json->reterr, "\\%c", c));
        else if (c < 0x20)
            WEIR_TRY(weir_buffer_print(json->out, json->reterr, "\\u%04x", c));
        else
            WEIR_TRY(weir_buffer_append(json->out, &text[i], 1, json->reterr));
    }
    return put(json, "\"");
}

static weir_status put_wrong(struct json *json, const struct node *node,
                             const struct weir_type *type, const char *shown)
{
    if (!node->broken)
        complain(json->reading, node, 0, NULL, "%s: expected %s, but there is %s", shown,
                 type->id == WEIR_STRUCT ? "a map of its fields" : weir_type_name(type->id),
                 node_quote(json->reading, node));
    return put(json, "null");
}

static weir_status put_scalar(struct json *json, const struct node *node,
                              const struct weir_type *type, const char *shown)
{
    bool boolean;
    double number;
    if (node->kind != NODE_SCALAR)
        return put_wrong(json, node, type, shown);
    switch (type->id) {
    case WEIR_BOOLEAN:
        if (!parse_boolean(node, &boolean))
            return put_wrong(json, node, type, shown);
        return put(json, boolean ? "true" : "false");
    case WEIR_INT:
    case WEIR_LONG:
    case WEIR_FLOAT:
    case WEIR_DOUBLE:
    case WEIR_DECIMAL:
        if (!weir_text_double(node->text, node->size, &number))
            return put_wrong(json, node, type, shown);
        return weir_buffer_append(json->out, node->text, node->size, json->reterr);
    default: return put_text(json, node->text, node->size);
    }
}

static weir_status put_value(struct json *json, const struct node *node,
                             const struct weir_type *type, const char *shown);

static weir_status unknown_field(struct json *json, const struct node *key,
                                 const struct weir_type *type, const char *shown)
{
    const char *known[TEST_COLUMNS_MAX];
    size_t count = 0;
    for (; count < type->child_count && count < TEST_COLUMNS_MAX; count++)
        known[count] = type->children[count].name;
    complain(json->reading, key, 0, suggest(json->reading, key->text, known, count),
             "%s: there is no column %s", shown, node_quote(json->reading, key));
    return WEIR_OK;
}

/* Fields of a struct or of the row, or entries of a map; named: see weir_tests_json. */
static weir_status put_map(struct json *json, const struct node *node, const struct weir_type *type,
                           const char *shown, uint8_t *named)
{
    bool first = true;
    if (node->kind != NODE_MAP)
        return put_wrong(json, node, type, shown);
    WEIR_TRY(put(json, "{"));
    for (size_t i = 0; i < node->count; i++) {
        const struct node *key = node->entries[i].key;
        const struct weir_field *field = type->id == WEIR_MAP
                                             ? &type->children[1]
                                             : weir_type_child(type, key->text, key->size);
        if (!field) {
            WEIR_TRY(unknown_field(json, key, type, shown));
            continue;
        }
        if (named)
            named[field - type->children] = 1;
        const char *below = take_print(json->reading, "%s.%s", shown, key->text);
        WEIR_TRY(put(json, first ? "" : ","));
        first = false;
        WEIR_TRY(put_text(json, key->text, key->size));
        WEIR_TRY(put(json, ":"));
        WEIR_TRY(put_value(json, node->entries[i].value, &field->type, below ? below : shown));
    }
    return put(json, "}");
}

static weir_status put_value(struct json *json, const struct node *node,
                             const struct weir_type *type, const char *shown)
{
    if (node->kind == NODE_NULL)
        return put(json, "null");
    if (type->id == WEIR_STRUCT || type->id == WEIR_MAP)
        return put_map(json, node, type, shown, NULL);
    if (type->id != WEIR_LIST)
        return put_scalar(json, node, type, shown);
    if (node->kind != NODE_LIST)
        return put_wrong(json, node, type, shown);
    WEIR_TRY(put(json, "["));
    for (size_t i = 0; i < node->count; i++) {
        const char *below = take_print(json->reading, "%s[%zu]", shown, i);
        WEIR_TRY(put(json, i ? "," : ""));
        WEIR_TRY(put_value(json, node->entries[i].value, &type->children[0].type,
                           below ? below : shown));
    }
    return put(json, "]");
}

weir_status weir_tests_json(struct weir_model_tests *tests, const struct weir_test_rows *rows,
                            const struct weir_type *type, struct weir_buffer *out,
                            uint8_t *ret_named, struct weir_error *reterr)
{
    struct reading *reading = &suite_of(tests)->reading;
    struct json json = {reading, out, reterr};
    const struct node *list = node_of(rows->rows);
    for (size_t i = 0; i < list->count; i++) {
        const char *shown = take_print(reading, "%s%srow %zu", rows->table ? rows->table : "",
                                       rows->table ? ": " : "", i + 1);
        if (!shown) {
            if (reterr)
                *reterr = reading->error;
            return reading->status;
        }
        WEIR_TRY(put_map(&json, list->entries[i].value, type, shown, ret_named));
        WEIR_TRY(put(&json, "\n"));
    }
    return WEIR_OK;
}

void weir_tests_complain(struct weir_model_tests *tests, const struct weir_test_rows *rows,
                         size_t index, const char *text)
{
    const struct node *at = node_of(rows->at), *list = node_of(rows->rows);
    if (list && index < list->count)
        at = list->entries[index].value;
    complain(&suite_of(tests)->reading, at, 0, NULL, "%s%s%s", rows->table ? rows->table : "",
             rows->table ? ": " : "", text);
}

const char *weir_tests_suggest(struct weir_model_tests *tests, const char *name,
                               const char *const *known, size_t known_count)
{
    return suggest(&suite_of(tests)->reading, name, known, known_count);
}

weir_status weir_tests_problems(struct weir_model_tests *tests,
                                void (*report)(void *argument, const char *text), void *argument,
                                struct weir_error *reterr)
{
    return complaints_report(&suite_of(tests)->reading, report, argument, reterr);
}
