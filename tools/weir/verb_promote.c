/* weir promote: one model brought up to date by hand, made anew, or its candidate decided upon. */
#include "tools/weir/cli.h"

#include "scheduler/promote/promote.h"

#include <stdio.h>
#include <string.h>

static const struct weir_model_config *find_model(const struct weir_pipeline *pipeline,
                                                  const char *name)
{
    for (size_t i = 0; i < pipeline->model_count; i++)
        if (strcmp(pipeline->models[i].table.name, name) == 0)
            return &pipeline->models[i];
    return NULL;
}

static weir_status no_such_model(const struct weir_pipeline *pipeline, const char *name,
                                 struct weir_error *reterr)
{
    char known[512] = "";
    for (size_t i = 0; i < pipeline->model_count && strlen(known) < 400; i++)
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%.100s", i ? ", " : "",
                 pipeline->models[i].table.name);
    weir_status status = weir_fail(reterr, WEIR_USAGE, "the pipeline file has no model %s", name);
    weir_error_hint(reterr, "it has: %s", *known ? known : "none");
    return status;
}

void cli_print_promotion(const json_t *outcome)
{
    const char *name = json_string_value(json_object_get(outcome, "table")),
               *reason = json_string_value(json_object_get(outcome, "reason")),
               *holder = json_string_value(json_object_get(outcome, "held_by"));
    json_t *gate, *row;
    size_t at, number;
    if (holder)
        printf("%s: another run is at it: %s\n", name, holder);
    else if (json_object_get(outcome, "error"))
        (void)name; /* told as every error is; which rows is told here */
    else if (json_object_get(outcome, "discarded"))
        printf("%s: candidate dropped\n", name);
    else if (json_is_true(json_object_get(outcome, "idle")))
        printf("%s: nothing to do%s%s\n", name, reason ? ": " : "", reason ? reason : "");
    else if (!json_object_get(outcome, "rows_written"))
        printf("%s: candidate published\n", name);
    else
        printf("%s: %" JSON_INTEGER_FORMAT " rows written, %" JSON_INTEGER_FORMAT
               " replaced or gone, %" JSON_INTEGER_FORMAT " files, %" JSON_INTEGER_FORMAT
               " files removed: %s\n",
               name, json_integer_value(json_object_get(outcome, "rows_written")),
               json_integer_value(json_object_get(outcome, "rows_removed")),
               json_integer_value(json_object_get(outcome, "files_added")),
               json_integer_value(json_object_get(outcome, "files_removed")), reason ? reason : "");
    if (json_integer_value(json_object_get(outcome, "set_aside")))
        printf("  %" JSON_INTEGER_FORMAT " rows set aside: weir quarantine show %s\n",
               json_integer_value(json_object_get(outcome, "set_aside")), name);
    if (json_integer_value(json_object_get(outcome, "late")))
        printf("  %" JSON_INTEGER_FORMAT " rows came too late: SELECT * FROM %s__late\n",
               json_integer_value(json_object_get(outcome, "late")), name);
    json_array_foreach(json_object_get(outcome, "gates"), at, gate)
    {
        if (strcmp(json_string_value(json_object_get(gate, "verdict")), "holds") == 0)
            continue;
        printf("  expect %s: %" JSON_INTEGER_FORMAT " rows (%s)\n",
               json_string_value(json_object_get(gate, "name")),
               json_integer_value(json_object_get(gate, "rows")),
               json_string_value(json_object_get(gate, "verdict")));
        json_array_foreach(json_object_get(gate, "sample"), number, row)
        {
            printf("    ");
            json_dumpf(row, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
            printf("\n");
        }
    }
}

static weir_status under_lease(struct cli *cli, const struct weir_promote_options *options,
                               json_t **ret_outcome, struct weir_error *reterr)
{
    char holder[256];
    struct weir_lease *lease;
    WEIR_TRY(weir_lease_take(options->lake, options->model->table.name, &lease, holder, reterr));
    if (!lease) {
        *ret_outcome = json_pack("{s:s, s:s}", "table", options->model->table.name, "held_by",
                                 holder);
        return WEIR_OK;
    }
    weir_status status = cli->accept    ? weir_promote_accept(options, ret_outcome, reterr)
                         : cli->discard ? weir_promote_discard(options, ret_outcome, reterr)
                                        : weir_promote(options, ret_outcome, reterr);
    weir_lease_give_back(lease);
    return status;
}

weir_status cli_promote(struct cli *cli, struct weir_lake *lake,
                        const struct weir_pipeline *pipeline, const struct weir_model_config *model,
                        json_t **ret_outcome, struct weir_error *reterr)
{
    struct weir_promote_options options = {.lake = lake,
                                           .pipeline = pipeline,
                                           .model = model,
                                           .graph = &cli->graph,
                                           .rebuild = cli->rebuild,
                                           .by_hand = strcmp(cli->verb->name, "promote") == 0};
    *ret_outcome = NULL;
    return cli->dry_run ? weir_promote_plan(&options, ret_outcome, reterr)
                        : under_lease(cli, &options, ret_outcome, reterr);
}

static weir_status check_options(const struct cli *cli, struct weir_error *reterr)
{
    if (cli->accept + cli->discard + cli->rebuild > 1)
        return weir_fail(reterr, WEIR_USAGE, "--accept, --discard and --rebuild: one of them");
    if (cli->what_if && (cli->accept || cli->discard || cli->rebuild || cli->dry_run))
        return weir_fail(reterr, WEIR_USAGE,
                         "--what-if changes nothing: not with --accept, --discard, --rebuild, "
                         "--dry-run");
    if (!cli->what_if && (cli->model_file || cli->since_ms))
        return weir_fail(reterr, WEIR_USAGE, "--model and --since go with --what-if");
    if (cli->accept && !cli->reason)
        return weir_fail(reterr, WEIR_USAGE,
                         "--accept needs --reason TEXT: the table keeps it (weir.accepted)");
    return WEIR_OK;
}

static weir_status promote_named(struct cli *cli, const struct weir_pipeline *pipeline,
                                 struct weir_error *reterr)
{
    struct weir_lake lake;
    json_t *outcome = NULL;
    const struct weir_model_config *model = find_model(pipeline, cli->arguments[0]);
    if (!model)
        return no_such_model(pipeline, cli->arguments[0], reterr);
    if (cli->what_if)
        return cli_what_if(cli, pipeline, (size_t)(model - pipeline->models), reterr);
    WEIR_TRY(weir_lake_open(cli->context, pipeline, !cli->dry_run, &lake, reterr));
    lake.reason = cli->reason;
    int64_t started_ms = weir_now_ms(cli->context);
    weir_status status = weir_openlineage_new(cli->context, pipeline, &cli->lineage, reterr);
    if (status == WEIR_OK)
        status = cli_promote(cli, &lake, pipeline, model, &outcome, reterr);
    if (!cli->dry_run)
        weir_openlineage_tell(cli->lineage, model->table.name, outcome, started_ms, status, reterr);
    weir_openlineage_free(cli->lineage);
    weir_graph_free(cli->graph);
    if (outcome && (cli->output == OUTPUT_JSON || cli->output == OUTPUT_NDJSON)) {
        json_dumpf(outcome, stdout, JSON_COMPACT);
        printf("\n");
    } else if (outcome && cli->dry_run) {
        json_dumpf(outcome, stdout, JSON_INDENT(1));
        printf("\n");
    } else if (outcome) {
        cli_print_promotion(outcome);
    }
    json_decref(outcome);
    weir_lake_close(&lake);
    return status;
}

weir_status verb_promote(struct cli *cli, struct weir_error *reterr)
{
    struct weir_pipeline *pipeline;
    WEIR_TRY(check_options(cli, reterr));
    if (cli->argument_count == 0)
        return weir_fail(reterr, WEIR_USAGE, "weir promote TABLE: which one?");
    WEIR_TRY(cli_pipeline(cli, &pipeline, reterr));
    weir_status status = promote_named(cli, pipeline, reterr);
    weir_pipeline_free(pipeline);
    return status;
}
