/* doctor, dev broker, completion, version, help. */
#include "tools/weir/cli.h"

#include "connectors/kafka/kafka.h"
#include "engine/exec/aggregate.h"
#include "engine/expr/ir.h"
#include "scheduler/sink/sink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WEIR_VERSION "0.1.0"

static void finding(json_t *rows, const char *what, const char *where, weir_status status,
                    const char *text)
{
    json_array_append_new(rows,
                          json_pack("{s:s, s:s, s:s, s:s}", "check", what, "where", where, "result",
                                    status == WEIR_OK ? "ok" : "FAILED", "detail", text));
}

static void check_source(struct cli *cli, const struct weir_pipeline *pipeline,
                         const struct weir_source_config *source, json_t *rows)
{
    struct weir_log_source log;
    struct weir_error error = {0};
    char text[1200] = "";
    weir_status status = weir_source_open(cli->context, pipeline, source, &log, &error);
    if (status == WEIR_OK) {
        char cluster[128] = "";
        struct weir_arena arena;
        struct weir_log_partition *partitions;
        size_t count = 0;
        weir_arena_init(&arena, &cli->context->memory);
        status = log.operations->cluster_id(log.self, cluster, &error);
        if (status == WEIR_OK)
            status = log.operations->partitions(log.self, &arena, &partitions, &count, &error);
        if (status == WEIR_OK)
            snprintf(text, sizeof text, "cluster %s, %zu partitions", cluster, count);
        weir_arena_done(&arena);
        log.operations->free(log.self);
    }
    finding(rows, "kafka", source->name, status, status == WEIR_OK ? text : error.text);
}

static void check_store(struct cli *cli, struct weir_lake *lake, json_t *rows)
{
    struct weir_error error = {0};
    weir_status status = weir_object_store_probe(cli->context, &lake->store, "_weir/probe/",
                                                 &error);
    finding(rows, "store", lake->store.root_uri, status,
            status == WEIR_OK ? "puts by condition tell the loser" : error.text);
    char *names[1];
    char **list = names;
    size_t count = 0;
    struct weir_arena arena;
    weir_arena_init(&arena, &cli->context->memory);
    error = (struct weir_error){0};
    status = lake->catalog.operations->list(lake->catalog.self, "", &arena, &list, &count, &error);
    char text[64];
    snprintf(text, sizeof text, "%zu tables", count);
    finding(rows, "catalog", lake->catalog.operations->kind, status,
            status == WEIR_OK ? text : error.text);
    weir_arena_done(&arena);
}

/* lake NULL: it cannot be opened. */
static void check_sinks(struct cli *cli, const struct weir_pipeline *pipeline,
                        struct weir_lake *lake, json_t *rows)
{
    for (size_t i = 0; i < pipeline->sink_count; i++) {
        struct weir_sink_options options = {
            .lake = lake, .pipeline = pipeline, .sink = &pipeline->sinks[i]};
        struct weir_error error = {0};
        char words[400] = "";
        weir_status status = weir_sink_probe(cli->context, &options, words, sizeof words, &error);
        finding(rows, "sink", pipeline->sinks[i].name, status,
                status == WEIR_OK ? words : error.text);
    }
}

weir_status verb_doctor(struct cli *cli, struct weir_error *reterr)
{
    struct weir_pipeline *pipeline;
    struct weir_lake lake;
    WEIR_TRY(cli_pipeline(cli, &pipeline, reterr));
    json_t *rows = json_array(), *row;
    struct weir_error error = {0};
    for (size_t i = 0; i < pipeline->source_count; i++)
        if (pipeline->sources[i].is_kafka)
            check_source(cli, pipeline, &pipeline->sources[i], rows);
    weir_status status = weir_lake_open(cli->context, pipeline, true, &lake, &error);
    char words[400] = "";
    if (status == WEIR_OK) {
        status = weir_lake_check_place(pipeline, &lake.store, &lake.catalog, words, sizeof words,
                                       &error);
        finding(rows, "place", pipeline->warehouse, status, status == WEIR_OK ? words : error.text);
        check_store(cli, &lake, rows);
        check_sinks(cli, pipeline, &lake, rows);
        weir_lake_close(&lake);
    } else {
        finding(rows, "place", pipeline->warehouse, status, error.text);
        check_sinks(cli, pipeline, NULL, rows);
    }
    static const char *const columns[] = {"check", "where", "result", "detail", NULL};
    status = cli_rows(cli, rows, columns, reterr);
    size_t at, failed = 0;
    json_array_foreach(rows, at, row)
        failed += strcmp(json_string_value(json_object_get(row, "result")), "ok") != 0;
    json_decref(rows);
    weir_pipeline_free(pipeline);
    if (status == WEIR_OK && failed)
        status = weir_fail(reterr, WEIR_FAILED, "%zu checks failed", failed);
    return status;
}

static void broker_started(void *argument, const char *bootstrap_servers)
{
    printf("%s\n", bootstrap_servers);
    fprintf(stderr, "%s\n", weir_kafka_dev_broker_limit);
    fflush(stdout);
}

weir_status verb_dev(struct cli *cli, struct weir_error *reterr)
{
    if (cli->argument_count != 1 || strcmp(cli->arguments[0], "broker") != 0)
        return weir_fail(reterr, WEIR_USAGE,
                         "weir dev: the only thing there is is `weir dev broker`");
    if (cli->for_ms)
        cli->context->deadline_steady_ms = weir_steady_ms(cli->context) + cli->for_ms;
    struct weir_kafka_dev_broker_options options = {.started = broker_started};
    return weir_kafka_dev_broker_run(cli->context, &options, reterr);
}

weir_status verb_completion(struct cli *cli, struct weir_error *reterr)
{
    const char *shell = cli->argument_count ? cli->arguments[0] : "";
    if (strcmp(shell, "fish") == 0) {
        for (size_t i = 0; i < verb_count; i++)
            printf("complete -c weir -n __fish_use_subcommand -f -a %s -d '%s'\n", verbs[i].name,
                   verbs[i].summary);
        return WEIR_OK;
    }
    bool zsh = strcmp(shell, "zsh") == 0;
    if (!zsh && strcmp(shell, "bash") != 0)
        return weir_fail(reterr, WEIR_USAGE, "weir completion: give bash, zsh or fish");
    if (zsh)
        printf("#compdef weir\nautoload -U +X bashcompinit && bashcompinit\n");
    printf("_weir() {\n  local word=${COMP_WORDS[COMP_CWORD]}\n  if [ \"$COMP_CWORD\" -eq 1 ]; "
           "then COMPREPLY=($(compgen -W '");
    for (size_t i = 0; i < verb_count; i++)
        printf("%s%s", i ? " " : "", verbs[i].name);
    printf("' -- \"$word\")); return; fi\n  case ${COMP_WORDS[1]} in\n"
           "    offsets) [ \"$COMP_CWORD\" -eq 2 ] && COMPREPLY=($(compgen -W 'show accept-gap "
           "rebind' -- \"$word\")) ;;\n"
           "    quarantine) [ \"$COMP_CWORD\" -eq 2 ] && COMPREPLY=($(compgen -W 'list show retry "
           "discard' -- \"$word\")) ;;\n"
           "    *) COMPREPLY=($(compgen -f -- \"$word\")) ;;\n  esac\n}\ncomplete -F _weir weir\n");
    return WEIR_OK;
}

weir_status verb_version(struct cli *cli, struct weir_error *reterr)
{
    if (cli->output == OUTPUT_JSON || cli->output == OUTPUT_NDJSON)
        printf("{\"version\":\"%s\",\"table_format\":1,\"compiler\":\"%s\"}\n", WEIR_VERSION,
               __VERSION__);
    else
        printf("weir %s (weir.format 1, made with %s)\n", WEIR_VERSION, __VERSION__);
    return WEIR_OK;
}

static void print_cell(const char *text)
{
    for (; text && *text; text++)
        printf(*text == '|' ? "\\|" : "%c", *text);
}

static void print_function(const char *signature, const char *doc)
{
    printf("| `");
    print_cell(signature);
    printf("` | ");
    print_cell(doc);
    printf(" |\n");
}

/* The part of docs/sql.md that is made from the registries. */
static void help_functions(void)
{
    size_t count;
    const struct weir_function *const *functions = weir_function_all(&count);
    const char *group = "";
    for (size_t i = 0; i < count; i++) {
        if (strcmp(group, functions[i]->group) != 0) {
            group = functions[i]->group;
            printf("### Functions: %s\n\n| function | |\n|---|---|\n", group);
        }
        print_function(functions[i]->signature, functions[i]->doc);
        if (i + 1 == count || strcmp(group, functions[i + 1]->group) != 0)
            printf("\n");
    }
    const struct weir_aggregate_function *const *aggregates = weir_aggregate_all(&count);
    printf("### Aggregates\n\n| aggregate | |\n|---|---|\n");
    for (size_t i = 0; i < count; i++)
        print_function(aggregates[i]->signature, aggregates[i]->doc);
}

weir_status verb_help(struct cli *cli, struct weir_error *reterr)
{
    if (cli->argument_count == 0) {
        cli_help(NULL);
        return WEIR_OK;
    }
    if (strcmp(cli->arguments[0], "functions") == 0) {
        help_functions();
        return WEIR_OK;
    }
    const struct verb *verb = verb_find(cli->arguments[0], strlen(cli->arguments[0]));
    if (!verb)
        return weir_fail(reterr, WEIR_USAGE, "there is no verb %s; `weir help` lists them",
                         cli->arguments[0]);
    cli_help(verb);
    return WEIR_OK;
}
