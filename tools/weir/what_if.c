/* weir promote --what-if: what a promotion would change, told. */
#include "tools/weir/cli.h"

#include "engine/base/limits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the SQL to be tried ---- */

static weir_status read_sql(struct weir_arena *arena, const char *path, char **ret_text,
                            struct weir_error *reterr)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (!file)
        return weir_fail(reterr, WEIR_USAGE, "%s: %s", path, strerror(errno));
    WEIR_AUTO(weir_buffer) text = {.account = arena->account};
    weir_status status = WEIR_OK;
    char piece[65536];
    size_t got;
    while (status == WEIR_OK && text.size <= WEIR_SQL_SIZE_MAX &&
           (got = fread(piece, 1, sizeof piece, file)) > 0)
        status = weir_buffer_append(&text, piece, got, reterr);
    if (status == WEIR_OK && ferror(file))
        status = weir_fail(reterr, WEIR_USAGE, "%s: %s", path, strerror(errno));
    if (file != stdin)
        fclose(file);
    WEIR_TRY(status);
    while (text.size && strchr(" \t\r\n;", text.data[text.size - 1]))
        text.size--;
    if (text.size == 0 || text.size > WEIR_SQL_SIZE_MAX || memchr(text.data, '\0', text.size))
        return weir_fail(reterr, WEIR_USAGE, "%s: expected one SELECT of at most %u bytes", path,
                         (unsigned)WEIR_SQL_SIZE_MAX);
    return weir_arena_copy(arena, text.data, text.size, ret_text, reterr);
}

/* The pipeline with another SQL in one of its models. */
static weir_status with_sql(struct weir_arena *arena, const struct weir_pipeline *pipeline,
                            size_t number, const char *path, struct weir_pipeline *ret_pipeline,
                            struct weir_error *reterr)
{
    struct weir_model_config *models;
    char *text;
    const struct weir_model_config *model = &pipeline->models[number];
    if (model->files)
        return weir_fail(reterr, WEIR_USAGE, "%s is what its files hold: it has no SQL",
                         model->table.name);
    WEIR_TRY(read_sql(arena, path, &text, reterr));
    WEIR_TRY(weir_arena_zero(arena, pipeline->model_count, sizeof *models, &models, reterr));
    memcpy(models, pipeline->models, pipeline->model_count * sizeof *models);
    models[number].sql = text;
    models[number].sql_file = path;
    *ret_pipeline = *pipeline;
    ret_pipeline->models = models;
    return WEIR_OK;
}

/* ---- telling ---- */

static json_int_t number(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static void print_json(const json_t *value)
{
    json_dumpf(value, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_ENCODE_ANY);
}

static void print_rows(const json_t *report, const char *kind, char mark)
{
    size_t at;
    json_t *row;
    json_array_foreach(json_object_get(json_object_get(report, "samples"), kind), at, row)
    {
        printf("  %c ", mark);
        print_json(row);
        printf("\n");
    }
}

/* What stays of a changed row tells which one it is; then what does not. */
static void print_changed(const json_t *report)
{
    size_t at;
    json_t *pair, *value;
    const char *name;
    json_array_foreach(json_object_get(json_object_get(report, "samples"), "changed"), at, pair)
    {
        json_t *before = json_object_get(pair, "before"), *after = json_object_get(pair, "after"),
               *same = json_object();
        json_object_foreach(before, name, value)
        {
            if (json_equal(value, json_object_get(after, name)))
                json_object_set(same, name, value);
        }
        printf("  ~ ");
        print_json(same);
        json_object_foreach(before, name, value)
        {
            if (json_object_get(same, name))
                continue;
            printf(" %s: ", name);
            print_json(value);
            printf(" -> ");
            print_json(json_object_get(after, name));
        }
        printf("\n");
        json_decref(same);
    }
}

static void print_names(const json_t *names, const char *what)
{
    size_t at;
    json_t *name;
    if (json_array_size(names) == 0)
        return;
    printf("  %s:", what);
    json_array_foreach(names, at, name) printf("%s %s", at ? "," : "", json_string_value(name));
    printf("\n");
}

static void print_since(const json_t *since)
{
    size_t at;
    json_t *source;
    if (!since)
        return;
    if (strcmp(json_string_value(json_object_get(since, "keys")), "all") == 0)
        printf("  since %s: the SQL does not tell which keys a row touches; all were compared\n",
               json_string_value(json_object_get(since, "from")));
    else
        printf("  since %s: only keys that were touched\n",
               json_string_value(json_object_get(since, "from")));
    json_array_foreach(json_object_get(since, "sources"), at, source)
    {
        if (json_is_true(json_object_get(source, "cut")))
            printf("  %s: older snapshots are expired; since %s\n",
                   json_string_value(json_object_get(source, "table")),
                   json_string_value(json_object_get(source, "committed")));
    }
}

static void print_report(const json_t *report)
{
    size_t at;
    json_t *item;
    const json_t *rows = json_object_get(report, "rows");
    printf("%s: %" JSON_INTEGER_FORMAT " rows would come, %" JSON_INTEGER_FORMAT
           " go, %" JSON_INTEGER_FORMAT " change (%" JSON_INTEGER_FORMAT
           " rows now, %" JSON_INTEGER_FORMAT " then)\n",
           json_string_value(json_object_get(report, "table")), number(report, "added"),
           number(report, "removed"), number(report, "changed"), number(rows, "before"),
           number(rows, "after"));
    print_since(json_object_get(report, "since"));
    print_names(json_object_get(report, "columns_added"), "new columns, not compared");
    print_names(json_object_get(report, "columns_removed"), "columns that the SQL does not give");
    print_rows(report, "added", '+');
    print_rows(report, "removed", '-');
    print_changed(report);
    json_array_foreach(json_object_get(report, "gates"), at, item)
    {
        if (number(item, "rows") == 0)
            continue;
        size_t row_at;
        json_t *row;
        printf("  expect %s: %" JSON_INTEGER_FORMAT " rows (%s)\n",
               json_string_value(json_object_get(item, "name")), number(item, "rows"),
               json_string_value(json_object_get(item, "verdict")));
        json_array_foreach(json_object_get(item, "sample"), row_at, row)
        {
            printf("    ");
            print_json(row);
            printf("\n");
        }
    }
    json_array_foreach(json_object_get(report, "sinks"), at, item)
        printf("  sink %s would be told: %" JSON_INTEGER_FORMAT " inserts, %" JSON_INTEGER_FORMAT
               " updates, %" JSON_INTEGER_FORMAT " deletes\n",
               json_string_value(json_object_get(item, "sink")), number(item, "insert"),
               number(item, "update"), number(item, "delete"));
}

static weir_status look(struct cli *cli, struct weir_arena *arena,
                        const struct weir_pipeline *pipeline, size_t model,
                        struct weir_error *reterr)
{
    struct weir_pipeline changed;
    struct weir_lake lake;
    json_t *report = NULL;
    struct weir_whatif_options options = {.lake = &lake,
                                          .pipeline = pipeline,
                                          .model = &pipeline->models[model],
                                          .since_ms = cli->since_ms};
    if (cli->model_file) {
        WEIR_TRY(with_sql(arena, pipeline, model, cli->model_file, &changed, reterr));
        options.pipeline = &changed;
        options.model = &changed.models[model];
        options.standing = pipeline;
    }
    WEIR_TRY(weir_lake_open(cli->context, pipeline, false, &lake, reterr));
    weir_status status = weir_promote_whatif(&options, &report, reterr);
    bool told = status == WEIR_OK || status == WEIR_GATE;
    if (told && (cli->output == OUTPUT_JSON || cli->output == OUTPUT_NDJSON)) {
        print_json(report);
        printf("\n");
    } else if (told) {
        print_report(report);
    }
    json_decref(report);
    weir_lake_close(&lake);
    return status;
}

weir_status cli_what_if(struct cli *cli, const struct weir_pipeline *pipeline, size_t model,
                        struct weir_error *reterr)
{
    WEIR_AUTO(weir_arena) arena;
    weir_arena_init(&arena, &cli->context->memory);
    return look(cli, &arena, pipeline, model, reterr);
}
