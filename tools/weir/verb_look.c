/* status, history, runs, verify: what the lake says of itself. */
#include "tools/weir/cli.h"

#include "engine/base/text.h"
#include "scheduler/promote/promote.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Pipeline and lake for a verb that only reads. */
static weir_status open_lake(struct cli *cli, struct weir_pipeline **ret_pipeline,
                             struct weir_lake *ret_lake, struct weir_error *reterr)
{
    WEIR_TRY(cli_pipeline(cli, ret_pipeline, reterr));
    weir_status status = cli_check_selection(cli, *ret_pipeline, reterr);
    if (status == WEIR_OK)
        status = weir_lake_open(cli->context, *ret_pipeline, false, ret_lake, reterr);
    if (status != WEIR_OK)
        weir_pipeline_free(*ret_pipeline);
    return status;
}

static json_t *time_text(int64_t ms)
{
    char text[48];
    text[weir_print_timestamptz(text, ms * 1000)] = '\0';
    return json_string(text);
}

static json_t *summary_number(const struct weir_snapshot *snapshot, const char *key)
{
    const char *text = json_string_value(json_object_get(snapshot->summary, key));
    return text ? json_integer(atoll(text)) : json_null();
}

static int64_t letters_in_force(struct weir_lake *lake, const struct weir_table *table,
                                const char *which)
{
    json_t *truth = NULL, *list = NULL, *file;
    int64_t rows = 0;
    size_t at;
    if (weir_truth(&lake->store, &lake->context->memory, table->metadata, "main", &truth, NULL) ==
            WEIR_OK &&
        weir_letters_read(lake, truth, which, &list, NULL) == WEIR_OK)
        json_array_foreach(json_object_get(list, "files"), at, file)
            rows += json_integer_value(json_object_get(file, "rows"));
    json_decref(truth);
    json_decref(list);
    return rows;
}

/* What the table itself says: its head and how old it is. NOT_FOUND: it is not there yet. */
static weir_status head_status(struct cli *cli, struct weir_lake *lake, const char *name,
                               json_t *row, struct weir_error *reterr)
{
    struct weir_table *table;
    struct weir_snapshot head;
    int64_t id;
    json_object_set_new(row, "table", json_string(name));
    WEIR_TRY(lake->catalog.operations->load(lake->catalog.self, name, &table, reterr));
    if (weir_metadata_ref(table->metadata, "main", &id) &&
        weir_metadata_snapshot(table->metadata, id, &head)) {
        json_object_set_new(row, "rows", summary_number(&head, "total-records"));
        json_object_set_new(row, "files", summary_number(&head, "total-data-files"));
        json_object_set_new(row, "refused",
                            json_integer(letters_in_force(lake, table, WEIR_LETTERS)));
        int64_t late = letters_in_force(lake, table, WEIR_LATE);
        if (late)
            json_object_set_new(row, "late", json_integer(late));
        json_object_set_new(row, "last_commit", time_text(head.timestamp_ms));
        json_object_set_new(row, "age_s",
                            json_integer((weir_now_ms(cli->context) - head.timestamp_ms) / 1000));
    }
    const char *ref;
    json_t *value;
    size_t snapshots;
    weir_metadata_snapshots(table->metadata, &snapshots);
    json_object_set_new(row, "snapshots", json_integer((json_int_t)snapshots));
    json_object_foreach(json_object_get(weir_metadata_document(table->metadata), "refs"), ref,
                        value)
    {
        if (strncmp(ref, "weir-gate-", 10) == 0)
            json_object_set_new(row, "candidate", json_string(ref));
    }
    weir_table_free(table);
    return WEIR_OK;
}

static weir_status table_status(struct cli *cli, struct weir_lake *lake,
                                const struct weir_pipeline *pipeline,
                                const struct weir_table_config *config, json_t *row,
                                struct weir_error *reterr)
{
    weir_status status = head_status(cli, lake, config->name, row, reterr);
    if (status != WEIR_OK && status != WEIR_NOT_FOUND)
        return status;
    struct weir_window_options options = {
        .lake = lake, .pipeline = pipeline, .table = config, .shard_count = 1};
    json_t *plan;
    struct weir_error error = {0};
    status = weir_windows_plan(&options, &plan, &error);
    if (status == WEIR_OK) {
        json_object_set(row, "lag", json_object_get(plan, "records"));
        json_decref(plan);
    }
    json_object_set_new(row, "state", json_string(status == WEIR_OK ? "ok" : error.text));
    return WEIR_OK;
}

/* Of a model: whether a promotion is due and why, or which candidate waits behind its gates. */
static weir_status model_status(struct cli *cli, struct weir_lake *lake,
                                const struct weir_pipeline *pipeline,
                                const struct weir_model_config *model, json_t *row,
                                struct weir_error *reterr)
{
    char state[1024];
    weir_status status = head_status(cli, lake, model->table.name, row, reterr);
    if (status != WEIR_OK && status != WEIR_NOT_FOUND)
        return status;
    struct weir_promote_options options = {.lake = lake, .pipeline = pipeline, .model = model};
    json_t *plan;
    struct weir_error error = {0};
    const char *candidate = json_string_value(json_object_get(row, "candidate"));
    status = weir_promote_plan(&options, &plan, &error);
    if (status != WEIR_OK) {
        snprintf(state, sizeof state, "%s", error.text);
    } else {
        const char *reason = json_string_value(json_object_get(plan, "reason"));
        bool due = json_is_true(json_object_get(plan, "due"));
        if (candidate)
            snprintf(state, sizeof state, "a gate said no: %s waits for --accept or --discard",
                     candidate);
        else
            snprintf(state, sizeof state, "%s%s%s", due ? "due" : "ok", reason ? ": " : "",
                     reason ? reason : "");
        json_decref(plan);
    }
    json_object_set_new(row, "state", json_string(state));
    return WEIR_OK;
}

/* A debt that cannot be told is told as that: the other tables are of interest all the same. */
static void add_debt(struct cli *cli, struct weir_lake *lake, const struct weir_pipeline *pipeline,
                     const struct weir_table_config *table, json_t *row)
{
    struct weir_error error = {0};
    if (cli_debt(cli, lake, pipeline, table, row, &error) != WEIR_OK)
        json_object_set_new(row, "debt", json_string(error.text));
}

weir_status verb_status(struct cli *cli, struct weir_error *reterr)
{
    struct weir_pipeline *pipeline;
    struct weir_lake lake;
    WEIR_TRY(open_lake(cli, &pipeline, &lake, reterr));
    json_t *rows = json_array();
    weir_status status = WEIR_OK;
    for (size_t i = 0; status == WEIR_OK && i < pipeline->table_count; i++) {
        if (!cli_selected(cli, pipeline->tables[i].name))
            continue;
        json_t *row = json_object();
        status = table_status(cli, &lake, pipeline, &pipeline->tables[i], row, reterr);
        add_debt(cli, &lake, pipeline, &pipeline->tables[i], row);
        json_array_append_new(rows, row);
    }
    /* models run in the tenants' lakes, not in the operator's */
    const size_t models = pipeline->tenancy && pipeline->tenancy->self < 0 ? 0
                                                                           : pipeline->model_count;
    for (size_t i = 0; status == WEIR_OK && i < models; i++) {
        const struct weir_model_config *model = &pipeline->models[i];
        if (model->mode == WEIR_MODEL_VIEW || !cli_selected(cli, model->table.name))
            continue;
        json_t *row = json_object();
        status = model_status(cli, &lake, pipeline, model, row, reterr);
        add_debt(cli, &lake, pipeline, &model->table, row);
        json_array_append_new(rows, row);
    }
    static const char *const columns[] = {"table",       "rows",  "files", "refused", "lag",
                                          "last_commit", "age_s", "debt",  "state",   NULL};
    if (status == WEIR_OK)
        status = cli_rows(cli, rows, columns, reterr);
    json_decref(rows);
    weir_lake_close(&lake);
    weir_pipeline_free(pipeline);
    return status;
}

static json_t *history_row(const struct weir_snapshot *snapshot)
{
    json_t *row = json_object();
    char id[24];
    snprintf(id, sizeof id, "%" PRId64, snapshot->id);
    json_object_set_new(row, "snapshot", json_string(id));
    json_object_set_new(row, "time", time_text(snapshot->timestamp_ms));
    const char *kind = json_string_value(json_object_get(snapshot->summary, "weir.kind"));
    json_object_set_new(row, "kind", json_string(kind ? kind : "not ours"));
    json_object_set_new(row, "operation", json_string(snapshot->operation));
    json_object_set_new(row, "added", summary_number(snapshot, "added-records"));
    json_object_set_new(row, "total", summary_number(snapshot, "total-records"));
    static const char *const keys[][2] = {{"ranges", "weir.ranges"},
                                          {"columns", "weir.columns"},
                                          {"run", "weir.run"},
                                          {"receipt", "weir.receipt"}};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        json_t *value = json_object_get(snapshot->summary, keys[i][1]);
        json_object_set(row, keys[i][0], value ? value : json_null());
    }
    return row;
}

weir_status verb_history(struct cli *cli, struct weir_error *reterr)
{
    struct weir_pipeline *pipeline;
    struct weir_lake lake;
    const struct weir_table_config *config;
    struct weir_table *table = NULL;
    WEIR_TRY(open_lake(cli, &pipeline, &lake, reterr));
    weir_status status = cli_table(cli, pipeline, &config, reterr);
    if (status == WEIR_OK)
        status = lake.catalog.operations->load(lake.catalog.self, config->name, &table, reterr);
    if (status == WEIR_OK) {
        json_t *rows = json_array();
        int64_t id;
        struct weir_snapshot snapshot;
        bool there = weir_metadata_ref(table->metadata, "main", &id);
        while (there && weir_metadata_snapshot(table->metadata, id, &snapshot)) {
            json_array_append_new(rows, history_row(&snapshot));
            id = snapshot.parent_id;
            there = id >= 0;
        }
        static const char *const columns[] = {"snapshot", "time",   "kind",    "operation", "added",
                                              "total",    "ranges", "columns", "run",       NULL};
        status = cli_rows(cli, rows, columns, reterr);
        json_decref(rows);
        weir_table_free(table);
    }
    weir_lake_close(&lake);
    weir_pipeline_free(pipeline);
    return status;
}

struct run_list {
    struct weir_lake *lake;
    char (*names)[sizeof(((struct weir_object_info *)NULL)->name)];
    size_t count, capacity;
};

static weir_status visit_run(void *argument, const struct weir_object_info *info)
{
    struct run_list *list = argument;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 64;
        WEIR_TRY(weir_realloc(&list->names, &list->lake->context->memory,
                              capacity * sizeof *list->names, NULL));
        list->capacity = capacity;
    }
    snprintf(list->names[list->count++], sizeof *list->names, "%s", info->name);
    return WEIR_OK;
}

static void run_rows(struct weir_lake *lake, const char *name, json_t *rows)
{
    WEIR_AUTO(weir_buffer) text = {.account = &lake->context->memory};
    if (lake->store.operations->get(lake->store.self, name, 0, UINT64_MAX, &text, NULL, NULL) !=
        WEIR_OK)
        return;
    json_t *record = json_loadb((const char *)text.data, text.size, 0, NULL), *table;
    size_t at;
    json_array_foreach(json_object_get(record, "tables"), at, table)
    {
        json_t *row = json_object();
        static const char *const from_record[] = {"run", "started", "seconds"},
                                 *const from_table[] = {"table",   "landed",  "refused",
                                                        "windows", "held_by", "error"};
        for (size_t i = 0; i < 3; i++)
            json_object_set(row, from_record[i], json_object_get(record, from_record[i]));
        for (size_t i = 0; i < 6; i++) {
            json_t *value = json_object_get(table, from_table[i]);
            json_object_set(row, from_table[i], value ? value : json_null());
        }
        const char *status = json_string_value(json_object_get(table, "status"));
        json_object_set_new(row, "status", json_string(status ? status : "OK"));
        json_array_append_new(rows, row);
    }
    json_decref(record);
}

weir_status verb_runs(struct cli *cli, struct weir_error *reterr)
{
    struct weir_pipeline *pipeline;
    struct weir_lake lake;
    WEIR_TRY(open_lake(cli, &pipeline, &lake, reterr));
    struct run_list list = {.lake = &lake};
    weir_status status = lake.store.operations->list(lake.store.self, "_weir/runs/", visit_run,
                                                     &list, reterr);
    json_t *rows = json_array();
    for (size_t i = list.count; status == WEIR_OK && i > 0 && list.count - i < 200; i--)
        run_rows(&lake, list.names[i - 1], rows);
    static const char *const columns[] = {"started", "table",   "status", "landed", "refused",
                                          "windows", "seconds", "run",    "error",  NULL};
    if (status == WEIR_OK)
        status = cli_rows(cli, rows, columns, reterr);
    json_decref(rows);
    weir_free(list.names);
    weir_lake_close(&lake);
    weir_pipeline_free(pipeline);
    return status;
}

static void print_report(const struct cli *cli, const json_t *report)
{
    if (cli->output == OUTPUT_JSON || cli->output == OUTPUT_NDJSON) {
        json_dumpf(report, stdout, cli->output == OUTPUT_JSON ? JSON_INDENT(2) : JSON_COMPACT);
        printf("\n");
        return;
    }
    size_t at;
    json_t *text;
    const char *tenant = json_string_value(json_object_get(report, "tenant"));
    printf("%s%s%s: %" JSON_INTEGER_FORMAT " rows in %" JSON_INTEGER_FORMAT
           " files, %" JSON_INTEGER_FORMAT " refused, %" JSON_INTEGER_FORMAT
           " snapshots, %" JSON_INTEGER_FORMAT " receipts: %s\n",
           tenant ? tenant : "", tenant ? ": " : "",
           json_string_value(json_object_get(report, "table")),
           json_integer_value(json_object_get(report, "rows")),
           json_integer_value(json_object_get(report, "files")),
           json_integer_value(json_object_get(report, "letters")),
           json_integer_value(json_object_get(report, "snapshots")),
           json_integer_value(json_object_get(report, "receipts")),
           json_array_size(json_object_get(report, "problems")) ? "PROBLEMS" : "whole");
    json_array_foreach(json_object_get(report, "problems"), at, text)
        printf("  problem: %s\n", json_string_value(text));
    json_array_foreach(json_object_get(report, "notes"), at, text)
        printf("  note: %s\n", json_string_value(text));
}

/* Its quarantine table, where there is one, in the same report. */
static weir_status verify_quarantine(struct weir_lake *lake, const struct weir_table *table,
                                     const struct weir_verify_options *options, json_t *report,
                                     struct weir_error *reterr)
{
    char name[2 * WEIR_NAME_SIZE_MAX + 32];
    struct weir_table *quarantine;
    snprintf(name, sizeof name, "%s__quarantine", table->name);
    weir_status status = lake->catalog.operations->load(lake->catalog.self, name, &quarantine,
                                                        reterr);
    if (status == WEIR_NOT_FOUND)
        return WEIR_OK;
    WEIR_TRY(status);
    status = weir_verify_quarantine(lake, table, quarantine, options, report, reterr);
    weir_table_free(quarantine);
    return status;
}

static weir_status verify_table(struct cli *cli, struct weir_lake *lake, const char *name,
                                size_t *problems, struct weir_error *reterr)
{
    struct weir_table *table;
    weir_status status = lake->catalog.operations->load(lake->catalog.self, name, &table, reterr);
    if (status == WEIR_NOT_FOUND) {
        printf("%s: not there yet\n", name);
        return WEIR_OK;
    }
    WEIR_TRY(status);
    struct weir_verify_options options = {.deep = cli->deep};
    json_t *report;
    status = weir_verify(lake, table, &options, &report, reterr);
    if (status == WEIR_OK) {
        status = verify_quarantine(lake, table, &options, report, reterr);
        if (cli->lake_now) /* one of several */
            json_object_set_new(report, "tenant", json_string(cli->lake_now->tenant));
        print_report(cli, report);
        *problems += json_array_size(json_object_get(report, "problems"));
        json_decref(report);
    }
    weir_table_free(table);
    return status;
}

static bool is_named(const struct cli *cli, const struct weir_table_config *table)
{
    bool named = cli->argument_count == 0;
    for (size_t a = 0; a < cli->argument_count; a++)
        named |= strcmp(cli->arguments[a], table->name) == 0 ||
                 strcmp(cli->arguments[a], table->short_name) == 0;
    return named && cli_selected(cli, table->name);
}

weir_status verb_verify(struct cli *cli, struct weir_error *reterr)
{
    struct weir_pipeline *pipeline;
    struct weir_lake lake;
    WEIR_TRY(open_lake(cli, &pipeline, &lake, reterr));
    weir_status status = WEIR_OK;
    size_t problems = 0, chosen = 0;
    for (size_t i = 0; status == WEIR_OK && i < pipeline->table_count + pipeline->model_count;
         i++) {
        bool model = i >= pipeline->table_count;
        const struct weir_table_config *table =
            model ? &pipeline->models[i - pipeline->table_count].table : &pipeline->tables[i];
        if (!is_named(cli, table) ||
            (model && pipeline->models[i - pipeline->table_count].mode == WEIR_MODEL_VIEW))
            continue;
        chosen++;
        status = verify_table(cli, &lake, table->name, &problems, reterr);
    }
    if (status == WEIR_OK && chosen == 0)
        status = cli->argument_count
                     ? cli_table(cli, pipeline, &(const struct weir_table_config *){NULL}, reterr)
                     : weir_fail(reterr, WEIR_USAGE, "no table is chosen");
    if (status == WEIR_OK && problems)
        status = weir_fail(reterr, WEIR_FAILED, "%zu problems found", problems);
    weir_lake_close(&lake);
    weir_pipeline_free(pipeline);
    return status;
}
