/* weir tag: names for states of a table. */
#include "tools/weir/cli.h"

#include "scheduler/upkeep/upkeep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct weir_table_config *find_table(const struct weir_pipeline *pipeline,
                                                  const char *name)
{
    for (size_t i = 0; i < pipeline->table_count + pipeline->model_count; i++) {
        const struct weir_table_config *table =
            i < pipeline->table_count ? &pipeline->tables[i]
                                      : &pipeline->models[i - pipeline->table_count].table;
        if (strcmp(table->name, name) == 0 ||
            (table->short_name && strcmp(table->short_name, name) == 0))
            return table;
    }
    return NULL;
}

static weir_status list(struct cli *cli, const struct weir_upkeep_options *options,
                        struct weir_error *reterr)
{
    static const char *const columns[] = {"name", "type", "snapshot", "time", "hours", NULL};
    json_t *rows;
    WEIR_TRY(weir_tag_list(options, &rows, reterr));
    weir_status status = cli_rows(cli, rows, columns, reterr);
    json_decref(rows);
    return status;
}

static weir_status change(struct cli *cli, const struct weir_upkeep_options *options,
                          struct weir_error *reterr)
{
    const char *name = cli->arguments[1];
    char question[600];
    json_t *outcome;
    snprintf(question, sizeof question,
             "%s: drop tag %.100s? What only it reaches goes with the next expiry.",
             options->table->name, name);
    if (cli->drop && !cli->dry_run)
        WEIR_TRY(cli_confirm(cli, question, reterr));
    WEIR_TRY(cli->drop ? weir_tag_drop(options, name, &outcome, reterr)
                       : weir_tag_set(options, name, cli->at, &outcome, reterr));
    if (cli->output == OUTPUT_TABLE)
        printf("%s: tag %s %s, at %s\n", options->table->name, name,
               json_string_value(json_object_get(outcome, "done")),
               json_string_value(json_object_get(outcome, "snapshot")));
    else
        cli_object(cli, outcome);
    json_decref(outcome);
    return WEIR_OK;
}

weir_status verb_tag(struct cli *cli, struct weir_error *reterr)
{
    struct weir_pipeline *pipeline;
    struct weir_lake lake;
    char actor[128], host[64] = "";
    const char *user = getenv("USER");
    if (cli->argument_count == 0 || cli->argument_count > 2)
        return weir_fail(reterr, WEIR_USAGE, "weir tag TABLE [NAME]: which one?");
    if (cli->drop && (cli->argument_count < 2 || cli->at))
        return weir_fail(reterr, WEIR_USAGE, "--drop needs a tag's name, and no --at");
    WEIR_TRY(cli_pipeline(cli, &pipeline, reterr));
    const struct weir_table_config *table = find_table(pipeline, cli->arguments[0]);
    bool writes = cli->argument_count == 2 && !cli->dry_run;
    weir_status status = table ? weir_lake_open(cli->context, pipeline, writes, &lake, reterr)
                               : weir_fail(reterr, WEIR_USAGE, "%s has no table %s", pipeline->file,
                                           cli->arguments[0]);
    if (status == WEIR_OK) {
        struct weir_upkeep_options options = {
            .lake = &lake, .pipeline = pipeline, .table = table, .dry_run = cli->dry_run};
        gethostname(host, sizeof host - 1);
        snprintf(actor, sizeof actor, "%.60s@%.60s", user && *user ? user : "unknown", host);
        lake.actor = actor;
        lake.reason = cli->reason;
        status = cli->argument_count == 2 ? change(cli, &options, reterr)
                                          : list(cli, &options, reterr);
        weir_lake_close(&lake);
    }
    weir_pipeline_free(pipeline);
    return status;
}
