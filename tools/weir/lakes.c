/* Which lake a verb is for, where a pipeline has one for each tenant: one that --tenant names, or
 * one after another with what they say gathered under a column `tenant`. */
#include "tools/weir/cli.h"

#include "engine/base/text.h"

#include <stdio.h>
#include <string.h>

bool cli_worse(weir_status a, weir_status b)
{
    static const int order[] = {130, 4, 3, 2, 1, 75, 0};
    weir_status statuses[2] = {a, b};
    int rank[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        bool stop = statuses[i] == WEIR_STOPPED || statuses[i] == WEIR_INTERRUPTED;
        int code = stop ? 130 : weir_status_exit_code(statuses[i]);
        while (rank[i] < 6 && order[rank[i]] != code)
            rank[i]++;
    }
    return rank[0] < rank[1];
}

bool cli_tenant_chosen(const struct cli *cli, const char *tenant)
{
    for (size_t i = 0; i < cli->tenant_count; i++)
        if (strcmp(cli->tenants[i], tenant) == 0 || strcmp(cli->tenants[i], "all") == 0)
            return true;
    return cli->tenant_count == 0;
}

/* Their names, as many as there is room for. */
static void list_names(const struct weir_pipeline *pipeline, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < pipeline->lake_count; i++) {
        const char *name = pipeline->lakes[i].tenant;
        if (used + strlen(name) + 8 > size) {
            snprintf(text + used, size - used, ", ...");
            return;
        }
        used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "", name);
    }
}

static weir_status which_tenant(const struct weir_pipeline *pipeline, const char *what,
                                const char *name, struct weir_error *reterr)
{
    char names[700];
    list_names(pipeline, names, sizeof names);
    weir_status status = weir_fail(reterr, WEIR_USAGE, "%s%s", what, name);
    weir_error_hint(reterr, "the tenants are %s", names);
    return status;
}

weir_status cli_check_tenants(const struct cli *cli, const struct weir_pipeline *pipeline,
                              struct weir_error *reterr)
{
    for (size_t i = 0; i < cli->tenant_count; i++) {
        bool there = strcmp(cli->tenants[i], "all") == 0;
        for (size_t k = 0; k < pipeline->lake_count; k++)
            there |= strcmp(cli->tenants[i], pipeline->lakes[k].tenant) == 0;
        if (!there)
            return which_tenant(pipeline, "there is no tenant ", cli->tenants[i], reterr);
    }
    return WEIR_OK;
}

weir_status cli_one_lake(const struct cli *cli, struct weir_pipeline *pipeline,
                         struct weir_pipeline **ret_lake, struct weir_error *reterr)
{
    struct weir_pipeline *found = NULL;
    size_t count = 0;
    for (size_t i = 0; cli->tenant_count && i < pipeline->lake_count; i++)
        if (cli_tenant_chosen(cli, pipeline->lakes[i].tenant)) {
            found = &pipeline->lakes[i];
            count++;
        }
    if (count != 1)
        return which_tenant(pipeline,
                            count ? "one --tenant at a time: weir "
                                  : "each tenant has a lake: whose? --tenant NAME: weir ",
                            cli->verb->name, reterr);
    *ret_lake = found;
    return WEIR_OK;
}

/* Does the verb only look? Then it is for all lakes, if none is named. */
static bool only_looks(const struct cli *cli)
{
    const char *action = cli->argument_count ? cli->arguments[0] : "";
    if (strcmp(cli->verb->name, "promote") == 0 || strcmp(cli->verb->name, "maintain") == 0)
        return cli->dry_run || cli->what_if;
    if (strcmp(cli->verb->name, "offsets") == 0)
        return strcmp(action, "show") == 0;
    if (strcmp(cli->verb->name, "quarantine") == 0)
        return strcmp(action, "list") == 0 || strcmp(action, "show") == 0;
    if (strcmp(cli->verb->name, "sinks") == 0)
        return cli->argument_count == 0 || strcmp(action, "list") == 0 ||
               strcmp(action, "dead") == 0;
    return true;
}

/* A lake that could not be looked at has a row too. */
static void note_failure(struct cli *cli, const char *tenant, const struct weir_error *error)
{
    if (strcmp(cli->verb->name, "status") == 0)
        json_array_append_new(cli->gathered,
                              json_pack("{s:s, s:s}", "tenant", tenant, "state", error->text));
}

static weir_status run_each(struct cli *cli, struct weir_pipeline *pipeline,
                            struct weir_error *reterr)
{
    weir_status worst = WEIR_OK;
    cli->gathered = json_array();
    for (size_t i = 0; i < pipeline->lake_count && !atomic_load(&cli->context->stop); i++) {
        struct weir_error error = {0};
        if (!cli_tenant_chosen(cli, pipeline->lakes[i].tenant))
            continue;
        cli->lake_now = &pipeline->lakes[i];
        cli->graph = NULL; /* of another lake's pipeline, and freed with its verb */
        weir_status status = cli->verb->run(cli, &error);
        if (status == WEIR_OK)
            continue;
        weir_error_prefix(&error, "tenant %s", pipeline->lakes[i].tenant);
        cli->lineage = NULL; /* freed with its verb, as the graph */
        note_failure(cli, pipeline->lakes[i].tenant, &error);
        bool worse = cli_worse(status, worst);
        if (worst != WEIR_OK) /* one is returned, the others are said here */
            fprintf(stderr, "weir: %s\n", worse ? reterr->text : error.text);
        if (worse) {
            worst = status;
            *reterr = error;
        }
    }
    json_t *rows = cli->gathered;
    cli->gathered = NULL;
    if (json_array_size(rows)) {
        struct weir_error error = {0};
        weir_status shown = cli_rows(
            cli, rows, cli->gathered_columns[0] ? cli->gathered_columns : NULL, &error);
        if (worst == WEIR_OK && shown != WEIR_OK) {
            worst = shown;
            *reterr = error;
        }
    }
    json_decref(rows);
    cli->lake_now = NULL;
    return worst;
}

weir_status cli_run(struct cli *cli, struct weir_error *reterr)
{
    struct weir_pipeline *pipeline;
    if (cli->verb->lakes != LAKES_EACH)
        return cli->verb->run(cli, reterr);
    WEIR_TRY(cli_pipeline(cli, &pipeline, reterr));
    if (pipeline->lake_count == 0) {
        cli->lake_now = pipeline;
        weir_status status = cli->verb->run(cli, reterr);
        weir_pipeline_free(cli->lake_now); /* if the verb did not come to take it */
        return status;
    }
    weir_status status = cli->tenant_count || only_looks(cli)
                             ? run_each(cli, pipeline, reterr)
                             : which_tenant(pipeline,
                                            "each tenant has a lake: whose? --tenant NAME: weir ",
                                            cli->verb->name, reterr);
    weir_pipeline_free(pipeline);
    return status;
}
