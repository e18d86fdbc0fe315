/* weir run: each selected table's windows under its lease, and the record of the run kept in the
 * lake. */
#include "tools/weir/run.h"

#include "engine/base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct progress {
    const struct cli *cli;
    int64_t started_ms;
    bool shown;
};

static void show_progress(void *self, const char *table, int64_t done, int64_t total, int64_t bytes)
{
    struct progress *progress = self;
    int64_t elapsed = weir_steady_ms(progress->cli->context) - progress->started_ms;
    char size[32];
    size_t length = weir_print_size(size, (uint64_t)bytes);
    int64_t left = done > 0 ? elapsed * (total - done) / done / 1000 : 0;
    fprintf(stderr,
            "\r%s: %" PRId64 " of %" PRId64 " records, %.*s, %" PRId64 "/s, %" PRId64 " s left   ",
            table, done, total, (int)length, size, elapsed > 0 ? done * 1000 / elapsed : 0, left);
    progress->shown = true;
}

void run_lease_name(const struct cli *cli, const char *table, char *name, size_t size)
{
    if (cli->shard_count > 1)
        snprintf(name, size, "%s.shard-%d-of-%d", table, cli->shard_index, cli->shard_count);
    else
        snprintf(name, size, "%s", table);
}

weir_status run_table(struct cli *cli, struct weir_lake *lake, const struct weir_pipeline *pipeline,
                      const struct weir_table_config *table, json_t **ret_outcome,
                      struct weir_error *reterr)
{
    char name[400], holder[256];
    struct weir_lease *lease;
    run_lease_name(cli, table->name, name, sizeof name);
    WEIR_TRY(weir_lease_take(lake, name, &lease, holder, reterr));
    if (!lease) {
        *ret_outcome = json_pack("{s:s, s:s}", "table", table->name, "held_by", holder);
        return WEIR_OK;
    }
    struct progress progress = {cli, weir_steady_ms(cli->context), false};
    struct weir_window_options options = {.lake = lake,
                                          .pipeline = pipeline,
                                          .table = table,
                                          .shard_index = cli->shard_index,
                                          .shard_count = cli->shard_count};
    if (isatty(STDERR_FILENO) && !cli->quiet && cli->output == OUTPUT_TABLE)
        options.progress = (struct weir_progress){show_progress, &progress};
    weir_status status = weir_windows_run(&options, ret_outcome, reterr);
    if (progress.shown)
        fprintf(stderr, "\n");
    weir_lease_give_back(lease);
    return status;
}

/* A deadline is kept by taking fewer windows: no failure when some landed. */
bool run_is_deadline(weir_status status, const json_t *outcome)
{
    return status == WEIR_TIMEOUT && json_integer_value(json_object_get(outcome, "windows")) > 0;
}

static void keep_record(struct cli *cli, struct weir_lake *lake,
                        const struct weir_pipeline *pipeline, json_t *record)
{
    char name[200], time[48];
    int64_t started = json_integer_value(json_object_get(record, "started_ms"));
    time[weir_print_timestamptz(time, started * 1000)] = '\0';
    snprintf(name, sizeof name, "_weir/runs/%013lld-%s.json", (long long)started, lake->run_id);
    json_object_set_new(record, "started", json_string(time));
    json_object_set_new(record, "pipeline", json_string(pipeline->name ? pipeline->name : ""));
    char *text = json_dumps(record, JSON_INDENT(1) | CLI_REAL);
    struct weir_error error = {0};
    if (text &&
        lake->store.operations->put(lake->store.self, name, text, strlen(text), WEIR_PUT_IF_ABSENT,
                                    NULL, NULL, &error) != WEIR_OK &&
        !cli->quiet)
        fprintf(stderr, "weir: the run's record was not kept: %s\n", error.text);
    free(text);
}

/* The tables of one lake; `tenant` goes before their names. */
static void print_record(const json_t *record)
{
    size_t at;
    json_t *table;
    const char *tenant = json_string_value(json_object_get(record, "tenant"));
    char prefix[80];
    snprintf(prefix, sizeof prefix, "%s%s", tenant ? tenant : "", tenant ? ": " : "");
    if (json_object_get(record, "error"))
        printf("%snot done: %s\n", prefix, json_string_value(json_object_get(record, "error")));
    json_array_foreach(json_object_get(record, "tables"), at, table)
    {
        const char *name = json_string_value(json_object_get(table, "table")),
                   *holder = json_string_value(json_object_get(table, "held_by"));
        const char *error = json_string_value(json_object_get(table, "error"));
        if (json_object_get(table, "mode")) {
            printf("%s", prefix);
            cli_print_promotion(table);
        } else if (holder)
            printf("%s%s: another run is at it: %s\n", prefix, name, holder);
        else if (json_integer_value(json_object_get(table, "windows")) == 0 && !error)
            printf("%s%s: nothing to do\n", prefix, name);
        else if (json_object_get(table, "windows"))
            printf("%s%s: %" JSON_INTEGER_FORMAT " landed, %" JSON_INTEGER_FORMAT
                   " refused, %" JSON_INTEGER_FORMAT " filtered, %" JSON_INTEGER_FORMAT
                   " in gaps, in %" JSON_INTEGER_FORMAT " windows, %" JSON_INTEGER_FORMAT
                   " files\n",
                   prefix, name, json_integer_value(json_object_get(table, "landed")),
                   json_integer_value(json_object_get(table, "refused")),
                   json_integer_value(json_object_get(table, "filtered")),
                   json_integer_value(json_object_get(table, "gaps")),
                   json_integer_value(json_object_get(table, "windows")),
                   json_integer_value(json_object_get(table, "files")));
    }
    json_array_foreach(json_object_get(record, "sinks"), at, table) cli_print_delivery(table);
    json_array_foreach(json_object_get(record, "upkeep"), at, table)
    {
        if (!json_is_true(json_object_get(table, "idle")))
            cli_print_upkeep(table, false);
    }
}

void run_print(const struct cli *cli, const json_t *record)
{
    if (cli->output == OUTPUT_JSON || cli->output == OUTPUT_NDJSON) {
        json_dumpf(record, stdout, JSON_COMPACT | CLI_REAL);
        printf("\n");
        return;
    }
    size_t at;
    json_t *lake, *lakes = json_object_get(record, "lakes");
    if (!lakes)
        print_record(record);
    json_array_foreach(lakes, at, lake) print_record(lake);
}

/* What became of one table or model, into the record. */
void run_note(json_t *record, const char *name, weir_status status, const struct weir_error *error,
              json_t *outcome, weir_status *worst, struct weir_error *reterr)
{
    if (!outcome)
        outcome = json_pack("{s:s, s:s}", "table", name, "error", error->text);
    if (status != WEIR_OK)
        json_object_set_new(outcome, "status", json_string(weir_status_name(status)));
    json_array_append_new(json_object_get(record, "tables"), outcome);
    if (status == WEIR_OK)
        return;
    if (*worst != WEIR_OK) /* several failed: the last is returned, the others are said here */
        fprintf(stderr, "weir: %s\n", reterr->text);
    *worst = status;
    *reterr = *error;
}

/* Models, each behind those it reads. One that fails does not keep others from being promoted: they
 * go on from what it last published. */
static weir_status run_models(struct cli *cli, struct weir_lake *lake,
                              const struct weir_pipeline *pipeline, json_t *record,
                              weir_status *worst, struct weir_error *reterr)
{
    size_t *order;
    WEIR_AUTO(weir_arena) arena;
    weir_arena_init(&arena, &cli->context->memory);
    WEIR_TRY(weir_models_order(pipeline, &arena, &order, reterr));
    for (size_t i = 0; i < pipeline->model_count && !atomic_load(&cli->context->stop); i++) {
        const struct weir_model_config *model = &pipeline->models[order[i]];
        struct weir_error error = {0};
        json_t *outcome;
        if (!cli_selected(cli, model->table.name) || model->mode == WEIR_MODEL_VIEW)
            continue;
        int64_t started_ms = weir_now_ms(cli->context);
        weir_status status = cli_promote(cli, lake, pipeline, model, &outcome, &error);
        weir_openlineage_tell(cli->lineage, model->table.name, outcome, started_ms, status, &error);
        run_note(record, model->table.name, status, &error, outcome, worst, reterr);
    }
    return *worst;
}

bool run_is_stop(weir_status status)
{
    return status == WEIR_STOPPED || status == WEIR_INTERRUPTED;
}

/* The part of a run that comes next; what went wrong before is not forgotten. */
static void then(weir_status (*part)(struct cli *cli, struct weir_lake *lake,
                                     const struct weir_pipeline *pipeline, json_t *record,
                                     struct weir_error *reterr),
                 struct cli *cli, struct weir_lake *lake, const struct weir_pipeline *pipeline,
                 json_t *record, weir_status *worst, struct weir_error *reterr)
{
    struct weir_error error = {0};
    weir_status status = part(cli, lake, pipeline, record, &error);
    if (status == WEIR_OK || run_is_stop(*worst))
        return;
    if (*worst != WEIR_OK)
        fprintf(stderr, "weir: %s\n", reterr->text);
    *reterr = error;
    *worst = status;
}

weir_status run_after(struct cli *cli, struct weir_lake *lake, const struct weir_pipeline *pipeline,
                      json_t *record, weir_status worst, struct weir_error *reterr)
{
    /* shards own parts of a source; what models and sinks read is whole */
    if (cli->shard_index != 0)
        return worst;
    if (pipeline->model_count)
        worst = run_models(cli, lake, pipeline, record, &worst, reterr);
    if (pipeline->sink_count && !atomic_load(&cli->context->stop))
        then(cli_deliver, cli, lake, pipeline, record, &worst, reterr);
    if (!atomic_load(&cli->context->stop))
        then(cli_upkeep, cli, lake, pipeline, record, &worst, reterr);
    return worst;
}

static weir_status run_all(struct cli *cli, struct weir_lake *lake,
                           const struct weir_pipeline *pipeline, json_t *record,
                           struct weir_error *reterr)
{
    weir_status worst = WEIR_OK;
    for (size_t i = 0; i < pipeline->table_count; i++) {
        const char *name = pipeline->tables[i].name;
        if (!cli_selected(cli, name))
            continue;
        json_t *outcome = NULL;
        struct weir_error error = {0};
        int64_t started_ms = weir_now_ms(cli->context);
        weir_status status = run_table(cli, lake, pipeline, &pipeline->tables[i], &outcome, &error);
        if (run_is_deadline(status, outcome)) {
            json_object_set_new(outcome, "deadline", json_true());
            json_object_del(outcome, "error");
            status = WEIR_OK;
        }
        weir_openlineage_tell(cli->lineage, name, outcome, started_ms, status, &error);
        run_note(record, name, status, &error, outcome, &worst, reterr);
        if (atomic_load(&cli->context->stop))
            return worst;
    }
    return run_after(cli, lake, pipeline, record, worst, reterr);
}

json_t *run_record_new(const struct cli *cli, const struct weir_lake *lake)
{
    return json_pack("{s:s, s:I, s:I, s:[], s:[], s:[]}", "run", lake->run_id, "started_ms",
                     (json_int_t)weir_now_ms(cli->context), "started_steady_ms",
                     (json_int_t)weir_steady_ms(cli->context), "tables", "sinks", "upkeep");
}

weir_status run_record_end(struct cli *cli, struct weir_lake *lake,
                           const struct weir_pipeline *pipeline, json_t *record, weir_status status,
                           struct weir_error *reterr)
{
    int64_t steady = json_integer_value(json_object_get(record, "started_steady_ms"));
    json_t *told = weir_openlineage_counts(cli->lineage);
    json_object_del(record, "started_steady_ms");
    if (told)
        json_object_set_new(record, "lineage", told);
    weir_openlineage_free(cli->lineage);
    weir_graph_free(cli->graph);
    cli->lineage = NULL;
    cli->graph = NULL;
    /* stopped between two tables: each was done or not begun, and the whole may not be done */
    if (status == WEIR_OK && atomic_load(&cli->context->stop))
        status = weir_context_check(cli->context, reterr);
    json_object_set_new(record, "seconds",
                        json_real((double)(weir_steady_ms(cli->context) - steady) / 1000));
    json_object_set_new(record, "status", json_string(weir_status_name(status)));
    json_object_set_new(record, "exit_code", json_integer(weir_status_exit_code(status)));
    json_object_set_new(record, "memory_peak",
                        json_integer((json_int_t)atomic_load(&cli->context->memory.peak)));
    keep_record(cli, lake, pipeline, record);
    return status;
}

weir_status verb_run(struct cli *cli, struct weir_error *reterr)
{
    struct weir_pipeline *pipeline;
    struct weir_lake lake;
    WEIR_TRY(cli_pipeline(cli, &pipeline, reterr));
    weir_status status = cli_check_selection(cli, pipeline, reterr);
    if (status == WEIR_OK && pipeline->lake_count) {
        status = cli_run_tenants(cli, pipeline, reterr);
        weir_pipeline_free(pipeline);
        return status;
    }
    if (status == WEIR_OK)
        status = weir_lake_open(cli->context, pipeline, !cli->dry_run, &lake, reterr);
    if (status != WEIR_OK) {
        weir_pipeline_free(pipeline);
        return status;
    }
    if (cli->dry_run) {
        status = run_plan(cli, &lake, pipeline, reterr);
    } else {
        json_t *record = run_record_new(cli, &lake);
        status = weir_openlineage_new(cli->context, pipeline, &cli->lineage, reterr);
        if (status == WEIR_OK)
            status = run_all(cli, &lake, pipeline, record, reterr);
        status = run_record_end(cli, &lake, pipeline, record, status, reterr);
        run_print(cli, record);
        json_decref(record);
    }
    weir_lake_close(&lake);
    weir_pipeline_free(pipeline);
    return status;
}

static weir_status plan_models(struct cli *cli, struct weir_lake *lake,
                               const struct weir_pipeline *pipeline, json_t *rows,
                               struct weir_error *reterr)
{
    for (size_t i = 0; i < pipeline->model_count; i++) {
        struct weir_promote_options options = {
            .lake = lake, .pipeline = pipeline, .model = &pipeline->models[i]};
        json_t *plan;
        if (!cli_selected(cli, pipeline->models[i].table.name))
            continue;
        WEIR_TRY(weir_promote_plan(&options, &plan, reterr));
        json_array_append_new(rows, plan);
    }
    return WEIR_OK;
}

/* One row a changed source of a model, or why nothing is due. */
static void model_rows(json_t *rows, const json_t *plan)
{
    size_t at;
    json_t *source, *sources = json_object_get(plan, "sources"),
                    *name = json_object_get(plan, "table"),
                    *reason = json_object_get(plan, "reason");
    json_array_foreach(sources, at, source) json_array_append_new(
        rows, json_pack("{s:O, s:O, s:O, s:O, s:O, s:O?}", "table", name, "source",
                        json_object_get(source, "table"), "from", json_object_get(source, "from"),
                        "to", json_object_get(source, "to"), "lag",
                        json_object_get(source, "rows_added"), "change", reason));
    if (json_array_size(sources) == 0)
        json_array_append_new(rows, json_pack("{s:O, s:s, s:i, s:O?}", "table", name, "source",
                                              json_is_true(json_object_get(plan, "due"))
                                                  ? "all its sources"
                                                  : "nothing new",
                                              "lag", 0, "change", reason));
}

static weir_status plan_rows(struct cli *cli, struct weir_lake *lake,
                             const struct weir_pipeline *pipeline, json_t *rows,
                             struct weir_error *reterr)
{
    for (size_t i = 0; i < pipeline->table_count; i++) {
        if (!cli_selected(cli, pipeline->tables[i].name))
            continue;
        struct weir_window_options options = {.lake = lake,
                                              .pipeline = pipeline,
                                              .table = &pipeline->tables[i],
                                              .shard_index = cli->shard_index,
                                              .shard_count = cli->shard_count};
        json_t *plan;
        WEIR_TRY(weir_windows_plan(&options, &plan, reterr));
        json_array_append_new(rows, plan);
    }
    WEIR_TRY(plan_models(cli, lake, pipeline, rows, reterr));
    json_t *states;
    WEIR_TRY(cli_sink_states(cli, lake, pipeline, &states, reterr));
    json_array_extend(rows, states);
    json_decref(states);
    return WEIR_OK;
}

/* What a sink waits for now; what this run's promotions will bring it is not known yet. */
static void sink_row(json_t *rows, const json_t *state)
{
    char name[300];
    const char *problem = json_string_value(json_object_get(state, "problem"));
    snprintf(name, sizeof name, "sink %s", json_string_value(json_object_get(state, "sink")));
    json_array_append_new(rows, json_pack("{s:s, s:O, s:O, s:O, s:s}", "table", name, "source",
                                          json_object_get(state, "table"), "from",
                                          json_object_get(state, "reached"), "lag",
                                          json_object_get(state, "waiting"), "change",
                                          problem ? problem : "commits to send"));
}

/* What a run would do to the table itself. */
static void plan_change(const json_t *plan, char *ret_text, size_t size)
{
    size_t at, used = 0;
    json_t *column;
    snprintf(ret_text, size, "%s",
             json_is_true(json_object_get(plan, "exists")) ? "" : "create table");
    json_array_foreach(json_object_get(plan, "columns"), at, column)
    {
        int more = snprintf(ret_text + used, size - used, "%s%s", at ? ", " : "",
                            json_string_value(column));
        if (more < 0 || (size_t)more >= size - used) {
            snprintf(ret_text + used, size - used, "%s", used + 6 < size ? ", ..." : "");
            return;
        }
        used += (size_t)more;
    }
}

static weir_status print_plans(struct cli *cli, const json_t *plans, struct weir_error *reterr)
{
    if (cli->output == OUTPUT_JSON || cli->output == OUTPUT_NDJSON)
        return cli_rows(cli, plans, NULL, reterr);
    json_t *rows = json_array(), *plan, *partition;
    size_t at, p;
    json_array_foreach(plans, at, plan)
    {
        json_t *name = json_object_get(plan, "table");
        if (json_object_get(plan, "sink")) {
            sink_row(rows, plan);
            continue;
        }
        if (json_object_get(plan, "mode")) {
            model_rows(rows, plan);
            continue;
        }
        char change[400];
        plan_change(plan, change, sizeof change);
        json_array_foreach(json_object_get(plan, "partitions"), p, partition)
        {
            json_t *row = json_copy(partition);
            char source[400];
            snprintf(source, sizeof source, "%s/%" JSON_INTEGER_FORMAT,
                     json_string_value(json_object_get(partition, "topic")),
                     json_integer_value(json_object_get(partition, "partition")));
            json_object_set(row, "table", name);
            json_object_set_new(row, "source", json_string(source));
            json_object_set_new(row, "change", json_string(change));
            json_array_append_new(rows, row);
        }
        json_array_foreach(json_object_get(plan, "files"), p, partition) json_array_append_new(
            rows, json_pack("{s:O, s:O, s:O, s:s}", "table", name, "source",
                            json_object_get(partition, "path"), "lag",
                            json_object_get(partition, "size"), "change", change));
        if (json_array_size(json_object_get(plan, "partitions")) +
                json_array_size(json_object_get(plan, "files")) ==
            0)
            json_array_append_new(rows, json_pack("{s:O, s:s, s:i, s:s}", "table", name, "source",
                                                  "nothing new", "lag", 0, "change", change));
    }
    static const char *const columns[] = {"table", "source",     "from",   "to", "lag",
                                          "held",  "continuity", "change", NULL};
    weir_status status = cli_rows(cli, rows, columns, reterr);
    json_decref(rows);
    return status;
}

weir_status run_plan(struct cli *cli, struct weir_lake *lake, const struct weir_pipeline *pipeline,
                     struct weir_error *reterr)
{
    json_t *plans = json_array();
    weir_status status = plan_rows(cli, lake, pipeline, plans, reterr);
    if (status == WEIR_OK)
        status = print_plans(cli, plans, reterr);
    json_decref(plans);
    return status;
}

weir_status verb_plan(struct cli *cli, struct weir_error *reterr)
{
    struct weir_pipeline *pipeline;
    struct weir_lake lake;
    WEIR_TRY(cli_pipeline(cli, &pipeline, reterr));
    weir_status status = cli_check_selection(cli, pipeline, reterr);
    if (status == WEIR_OK)
        status = weir_lake_open(cli->context, pipeline, false, &lake, reterr);
    if (status == WEIR_OK) {
        status = run_plan(cli, &lake, pipeline, reterr);
        weir_lake_close(&lake);
    }
    weir_pipeline_free(pipeline);
    return status;
}
