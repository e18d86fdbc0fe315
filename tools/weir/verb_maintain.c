/* weir maintain: the actions of scheduler/upkeep by hand, table by table. */
#include "tools/weir/cli.h"

#include "scheduler/upkeep/upkeep.h"

#include <stdio.h>
#include <string.h>

/* In the order in which they are done: what one leaves, the next finds. */
static const struct {
    const char *name;
    weir_upkeep_action *run;
} actions[] = {
    {"retain", weir_upkeep_retain},
    {"expire", weir_upkeep_expire},
};
#define ACTION_COUNT (sizeof actions / sizeof *actions)

struct maintenance {
    struct cli *cli;
    struct weir_lake *lake;
    const struct weir_pipeline *pipeline;
    const char *table, *action; /* NULL: all */
    json_t *outcomes;
    weir_status worst;
    struct weir_error *reterr;
};

static bool is_action(const char *name)
{
    for (size_t i = 0; i < ACTION_COUNT; i++)
        if (strcmp(actions[i].name, name) == 0)
            return true;
    return false;
}

/* [TABLE] [ACTION], either may be left out. */
static weir_status read_arguments(struct maintenance *maintenance, struct weir_error *reterr)
{
    const struct cli *cli = maintenance->cli;
    char known[200] = "";
    for (size_t i = 0; i < ACTION_COUNT; i++)
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "",
                 actions[i].name);
    if (cli->argument_count > 2)
        return weir_fail(reterr, WEIR_USAGE, "weir maintain [TABLE] [ACTION]: one of each");
    if (cli->argument_count == 1 && is_action(cli->arguments[0])) {
        maintenance->action = cli->arguments[0];
        return WEIR_OK;
    }
    maintenance->table = cli->argument_count ? cli->arguments[0] : NULL;
    maintenance->action = cli->argument_count == 2 ? cli->arguments[1] : NULL;
    if (!maintenance->action || is_action(maintenance->action))
        return WEIR_OK;
    weir_status status = weir_fail(reterr, WEIR_USAGE, "weir maintain: no action %s",
                                   maintenance->action);
    weir_error_hint(reterr, "known: %s", known);
    return status;
}

static bool is_wanted(const struct maintenance *maintenance, const struct weir_table_config *table)
{
    const char *wanted = maintenance->table;
    return wanted ? strcmp(table->name, wanted) == 0 ||
                        (table->short_name && strcmp(table->short_name, wanted) == 0)
                  : cli_selected(maintenance->cli, table->name);
}

static void note(struct maintenance *maintenance, weir_status status,
                 const struct weir_error *error, const char *table, const char *action,
                 json_t *outcome)
{
    if (!outcome)
        outcome = json_pack("{s:s, s:s, s:s, s:s}", "table", table, "action", action, "error",
                            error->text, "status", weir_status_name(status));
    json_array_append_new(maintenance->outcomes, outcome);
    if (status == WEIR_OK)
        return;
    if (maintenance->worst != WEIR_OK) /* the last is returned, the others are said here */
        fprintf(stderr, "weir: %s\n", maintenance->reterr->text);
    maintenance->worst = status;
    *maintenance->reterr = *error;
}

/* Every action that was asked for, of one table; one that fails does not keep the others. */
static void maintain_table(struct maintenance *maintenance, const struct weir_table_config *table)
{
    struct cli *cli = maintenance->cli;
    struct weir_upkeep_options options = {.lake = maintenance->lake,
                                          .pipeline = maintenance->pipeline,
                                          .table = table,
                                          .dry_run = cli->dry_run,
                                          .until_ms = cli->for_ms ? cli->context->deadline_steady_ms
                                                                  : 0};
    for (size_t i = 0; i < ACTION_COUNT && !atomic_load(&cli->context->stop); i++) {
        struct weir_error error = {0};
        json_t *outcome = NULL;
        if (maintenance->action && strcmp(maintenance->action, actions[i].name) != 0)
            continue;
        weir_status status = actions[i].run(&options, &outcome, &error);
        note(maintenance, status, &error, table->name, actions[i].name, outcome);
    }
}

static weir_status maintain_all(struct maintenance *maintenance)
{
    const struct weir_pipeline *pipeline = maintenance->pipeline;
    size_t met = 0;
    for (size_t i = 0; i < pipeline->table_count + pipeline->model_count; i++) {
        bool is_model = i >= pipeline->table_count;
        const struct weir_table_config *table =
            is_model ? &pipeline->models[i - pipeline->table_count].table : &pipeline->tables[i];
        if (!is_wanted(maintenance, table))
            continue;
        met++;
        if (!is_model || pipeline->models[i - pipeline->table_count].mode != WEIR_MODEL_VIEW)
            maintain_table(maintenance, table);
    }
    if (met == 0)
        return weir_fail(maintenance->reterr, WEIR_USAGE, "%s has no table %s", pipeline->file,
                         maintenance->table ? maintenance->table : maintenance->cli->select);
    return maintenance->worst;
}

/* {"snapshots_removed": 5} as "5 snapshots removed"; what every outcome has is left out. */
static void print_counts(const json_t *outcome)
{
    const char *key, *between = "";
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)outcome, key, value)
    {
        const char *last = strrchr(key, '_');
        if (!json_is_integer(value))
            continue;
        if (last)
            printf("%s%" JSON_INTEGER_FORMAT " %.*s %s", between, json_integer_value(value),
                   (int)(last - key), key, last + 1);
        else
            printf("%s%" JSON_INTEGER_FORMAT " %s", between, json_integer_value(value), key);
        between = ", ";
    }
}

void cli_print_upkeep(const json_t *outcome, bool dry_run)
{
    const char *reason = json_string_value(json_object_get(outcome, "reason")),
               *held = json_string_value(json_object_get(outcome, "held_by"));
    if (json_object_get(outcome, "error"))
        return; /* told as every error is */
    printf("%s: %s: ", json_string_value(json_object_get(outcome, "table")),
           json_string_value(json_object_get(outcome, "action")));
    if (json_is_true(json_object_get(outcome, "idle"))) {
        printf("nothing to do%s%s", reason ? ": " : "", reason ? reason : "");
    } else {
        printf("%s", dry_run ? "would be: " : "");
        print_counts(outcome);
    }
    if (json_is_false(json_object_get(outcome, "done")))
        printf("; the rest another time");
    printf("\n");
    if (held)
        printf("  older ones are held by %s\n", held);
}

static void print_all(const struct maintenance *maintenance)
{
    size_t at;
    json_t *outcome;
    const struct cli *cli = maintenance->cli;
    bool many = cli->output == OUTPUT_NDJSON;
    if (cli->output == OUTPUT_JSON) {
        json_dumpf(maintenance->outcomes, stdout, JSON_COMPACT | CLI_REAL);
        printf("\n");
        return;
    }
    json_array_foreach(maintenance->outcomes, at, outcome)
    {
        if (many)
            json_dumpf(outcome, stdout, JSON_COMPACT | CLI_REAL);
        else
            cli_print_upkeep(outcome, cli->dry_run);
        if (many)
            printf("\n");
    }
}

weir_status verb_maintain(struct cli *cli, struct weir_error *reterr)
{
    struct weir_pipeline *pipeline;
    struct weir_lake lake;
    struct weir_error error = {0};
    struct maintenance maintenance = {.cli = cli, .lake = &lake, .reterr = &error};
    WEIR_TRY(read_arguments(&maintenance, reterr));
    WEIR_TRY(cli_pipeline(cli, &pipeline, reterr));
    maintenance.pipeline = pipeline;
    weir_status status = weir_lake_open(cli->context, pipeline, !cli->dry_run, &lake, reterr);
    if (status == WEIR_OK) {
        lake.reason = cli->reason;
        maintenance.outcomes = json_array();
        status = maintain_all(&maintenance);
        if (status != WEIR_OK)
            *reterr = error;
        print_all(&maintenance);
        json_decref(maintenance.outcomes);
        weir_lake_close(&lake);
    }
    weir_pipeline_free(pipeline);
    return status;
}
