/* weir hold: tables whose rows must stay while a case is open. */
#include "tools/weir/cli.h"

#include "scheduler/upkeep/upkeep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *find_table(const struct weir_pipeline *pipeline, const char *name)
{
    for (size_t i = 0; i < pipeline->table_count + pipeline->model_count; i++) {
        const struct weir_table_config *table =
            i < pipeline->table_count ? &pipeline->tables[i]
                                      : &pipeline->models[i - pipeline->table_count].table;
        if (strcmp(table->name, name) == 0 ||
            (table->short_name && strcmp(table->short_name, name) == 0))
            return table->name;
    }
    return NULL;
}

static weir_status list(struct cli *cli, struct weir_lake *lake, const char *table,
                        struct weir_error *reterr)
{
    static const char *const columns[] = {"table", "case", "state",  "set",
                                          "until", "by",   "reason", NULL};
    json_t *rows;
    WEIR_TRY(weir_hold_list(lake, table, &rows, reterr));
    weir_status status = cli_rows(cli, rows, columns, reterr);
    json_decref(rows);
    return status;
}

static weir_status act(struct cli *cli, struct weir_lake *lake, const char *table, bool sets,
                       struct weir_error *reterr)
{
    char question[500];
    if (cli->dry_run) {
        printf("%s: would be %s\n", table, sets ? "held" : "released");
        return WEIR_OK;
    }
    snprintf(question, sizeof question,
             "%s: release case %.100s? What its rules let go goes with the next run.", table,
             cli->case_name);
    if (!sets)
        WEIR_TRY(cli_confirm(cli, question, reterr));
    WEIR_TRY(sets ? weir_hold_set(lake, table, cli->case_name, cli->until, reterr)
                  : weir_hold_release(lake, table, cli->case_name, reterr));
    printf("%s: %s for case %s\n", table, sets ? "held" : "released", cli->case_name);
    return WEIR_OK;
}

weir_status verb_hold(struct cli *cli, struct weir_error *reterr)
{
    struct weir_pipeline *pipeline;
    struct weir_lake lake;
    char actor[128], host[64] = "";
    const char *user = getenv("USER"), *what = cli->argument_count ? cli->arguments[0] : "list",
               *table = NULL;
    bool sets = strcmp(what, "set") == 0, releases = strcmp(what, "release") == 0;
    if (!sets && !releases && strcmp(what, "list") != 0)
        return weir_fail(reterr, WEIR_USAGE, "weir hold set|release|list [TABLE]");
    if ((sets || releases) && (cli->argument_count != 2 || !cli->case_name || !cli->reason))
        return weir_fail(reterr, WEIR_USAGE, "weir hold %s TABLE --case NAME --reason TEXT", what);
    WEIR_TRY(cli_pipeline(cli, &pipeline, reterr));
    if (cli->argument_count > 1)
        table = find_table(pipeline, cli->arguments[1]);
    weir_status status = cli->argument_count > 1 && !table
                             ? weir_fail(reterr, WEIR_USAGE, "%s has no table %s", pipeline->file,
                                         cli->arguments[1])
                             : weir_lake_open(cli->context, pipeline,
                                              (sets || releases) && !cli->dry_run, &lake, reterr);
    if (status == WEIR_OK) {
        gethostname(host, sizeof host - 1);
        snprintf(actor, sizeof actor, "%.60s@%.60s", user && *user ? user : "unknown", host);
        lake.actor = actor;
        lake.reason = cli->reason;
        status = sets || releases ? act(cli, &lake, table, sets, reterr)
                                  : list(cli, &lake, table, reterr);
        weir_lake_close(&lake);
    }
    weir_pipeline_free(pipeline);
    return status;
}
