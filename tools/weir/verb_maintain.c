/* weir maintain: the actions of scheduler/upkeep by hand, table by table. */
#include "tools/weir/cli.h"

#include "engine/base/text.h"
#include "scheduler/upkeep/upkeep.h"

#include <stdio.h>
#include <string.h>

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
    for (size_t i = 0; i < weir_upkeep_step_count; i++)
        if (strcmp(weir_upkeep_steps[i].name, name) == 0)
            return true;
    return false;
}

/* [TABLE] [ACTION], either may be left out. */
static weir_status read_arguments(struct maintenance *maintenance, struct weir_error *reterr)
{
    const struct cli *cli = maintenance->cli;
    char known[200] = "";
    for (size_t i = 0; i < weir_upkeep_step_count; i++)
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "",
                 weir_upkeep_steps[i].name);
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

/* One that fails does not keep the others. */
static void maintain_table(struct maintenance *maintenance, const struct weir_table_config *table)
{
    struct cli *cli = maintenance->cli;
    struct weir_error error = {0};
    struct weir_upkeep_options options = {.lake = maintenance->lake,
                                          .pipeline = maintenance->pipeline,
                                          .table = table,
                                          .dry_run = cli->dry_run,
                                          .by_hand = maintenance->action != NULL,
                                          .until_ms = cli->for_ms ? cli->context->deadline_steady_ms
                                                                  : 0};
    weir_status status = weir_upkeep_table(&options, maintenance->action, maintenance->outcomes,
                                           &error);
    if (status == WEIR_OK)
        return;
    if (maintenance->worst != WEIR_OK) /* the last is returned, the others are said here */
        fprintf(stderr, "weir: %s\n", maintenance->reterr->text);
    maintenance->worst = status;
    *maintenance->reterr = error;
}

static weir_status maintain_all(struct maintenance *maintenance)
{
    const struct weir_pipeline *pipeline = maintenance->pipeline;
    size_t met = 0;
    for (size_t i = 0; i < pipeline->table_count + pipeline->model_count &&
                       !atomic_load(&maintenance->cli->context->stop);
         i++) {
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
        if (!json_integer_value(value) || strcmp(key, "seconds_overdue") == 0)
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
               *holder = json_string_value(json_object_get(outcome, "held_by")),
               *kept = json_string_value(json_object_get(outcome, "kept_by"));
    if (json_object_get(outcome, "error"))
        return; /* told as every error is */
    if (holder) {
        printf("%s: another run is at its upkeep: %s\n",
               json_string_value(json_object_get(outcome, "table")), holder);
        return;
    }
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
    if (kept)
        printf("  older ones are kept by %s\n", kept);
    size_t at;
    json_t *name;
    json_array_foreach(json_object_get(outcome, "objects"), at, name)
        printf("  nothing reaches %s\n", json_string_value(name));
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
        if (json_array_size(maintenance.outcomes) == 0 && status == WEIR_OK &&
            cli->output == OUTPUT_TABLE)
            printf("nothing to do: lifecycle has no rule for these tables\n");
        json_decref(maintenance.outcomes);
        weir_lake_close(&lake);
    }
    weir_pipeline_free(pipeline);
    return status;
}

/* ---- debt ---- */

/* "retain: 4 files_dropped" and so on, of what a dry run finds. */
static void say_debt(const json_t *outcome, char *text, size_t size)
{
    const char *key;
    json_t *value;
    const char *action = json_string_value(json_object_get(outcome, "action"));
    if (json_is_true(json_object_get(outcome, "idle")))
        return;
    json_object_foreach((json_t *)(uintptr_t)outcome, key, value)
    {
        size_t used = strlen(text);
        if (json_integer_value(value) && strcmp(key, "seconds_overdue") == 0 && used + 100 < size)
            snprintf(text + used, size - used, "%soverdue by %" JSON_INTEGER_FORMAT " h",
                     used ? ", " : "", (json_integer_value(value) + 3599) / 3600);
        else if (json_integer_value(value) && strstr(key, "_kept") == NULL && used + 100 < size)
            snprintf(text + used, size - used, "%s%.20s: %" JSON_INTEGER_FORMAT " %.40s",
                     used ? ", " : "", action, json_integer_value(value), key);
    }
}

/* The oldest row by its time, held against the shortest max_age of its layer. */
static void say_oldest(struct cli *cli, const struct weir_pipeline *pipeline,
                       const struct weir_table_config *table, const json_t *oldest, json_t *row)
{
    const char *text = json_string_value(oldest);
    int64_t at, most = INT64_MAX;
    if (!text || !weir_text_timestamptz(text, strlen(text), &at))
        return;
    json_object_set(row, "oldest", (json_t *)(uintptr_t)oldest);
    json_object_set_new(row, "oldest_age_s",
                        json_integer((weir_now_ms(cli->context) - at / 1000) / 1000));
    for (size_t i = 0; i < pipeline->policy_count; i++) {
        const struct weir_policy_config *policy = &pipeline->policies[i];
        for (size_t k = 0; policy->applies && k < policy->age_count; k++)
            if (table->layer && strcmp(policy->ages[k].layer, table->layer) == 0 &&
                policy->ages[k].ms < most)
                most = policy->ages[k].ms;
    }
    if (most != INT64_MAX)
        json_object_set_new(row, "max_age_s", json_integer(most / 1000));
}

weir_status cli_debt(struct cli *cli, struct weir_lake *lake, const struct weir_pipeline *pipeline,
                     const struct weir_table_config *table, json_t *row, struct weir_error *reterr)
{
    json_t *outcomes = json_array(), *outcome;
    char text[400] = "";
    size_t at;
    struct weir_upkeep_options options = {
        .lake = lake, .pipeline = pipeline, .table = table, .dry_run = true};
    weir_status status = weir_upkeep_table(&options, NULL, outcomes, reterr);
    json_array_foreach(outcomes, at, outcome)
    {
        const json_t *oldest = json_object_get(outcome, "oldest");
        say_debt(outcome, text, sizeof text);
        say_oldest(cli, pipeline, table, oldest, row);
    }
    if (status == WEIR_OK && json_array_size(outcomes)) {
        json_object_set(row, "upkeep", outcomes);
        json_object_set_new(row, "debt", json_string(text));
    }
    json_decref(outcomes);
    return status;
}

/* ---- of a run ---- */

static void upkeep_one(struct cli *cli, const struct weir_upkeep_options *options, json_t *outcomes,
                       weir_status *worst, struct weir_error *reterr)
{
    struct weir_error error = {0};
    weir_status status = weir_upkeep_table(options, NULL, outcomes, &error);
    if (status == WEIR_OK)
        return;
    if (*worst != WEIR_OK)
        fprintf(stderr, "weir: %s\n", reterr->text);
    *worst = status;
    *reterr = error;
}

weir_status cli_upkeep(struct cli *cli, struct weir_lake *lake,
                       const struct weir_pipeline *pipeline, json_t *record,
                       struct weir_error *reterr)
{
    weir_status worst = WEIR_OK;
    json_t *outcomes = json_object_get(record, "upkeep");
    size_t count = pipeline->table_count + pipeline->model_count;
    int64_t deadline = cli->context->deadline_steady_ms;
    for (size_t i = 0; i < count && !atomic_load(&cli->context->stop); i++) {
        bool is_model = i >= pipeline->table_count;
        const struct weir_table_config *table =
            is_model ? &pipeline->models[i - pipeline->table_count].table : &pipeline->tables[i];
        int64_t now = weir_steady_ms(cli->context);
        if (!cli_selected(cli, table->name) || !weir_upkeep_has_rule(table) ||
            (deadline && now >= deadline))
            continue;
        /* a fair share of what ingest left: no table's debt waits for ever behind another's */
        struct weir_upkeep_options options = {
            .lake = lake,
            .pipeline = pipeline,
            .table = table,
            .until_ms = deadline ? now + (deadline - now) / (int64_t)(count - i) : 0};
        upkeep_one(cli, &options, outcomes, &worst, reterr);
    }
    return worst;
}
