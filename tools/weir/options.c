/* Options and arguments to struct cli, and the help texts. */
#include "tools/weir/cli.h"

#include "engine/base/text.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct option_row {
    char letter;          /* in verb.options */
    const char *name;     /* --name */
    char short_name;      /* -x or 0 */
    const char *argument; /* NULL = a flag */
    const char *help;
};

static const struct option_row options[] = {
    {'p', "pipeline", 'p', "FILE",
     "pipeline file, default weir.yaml; repeatable, later wins key by key"},
    {'s', "select", 's', "SELECT",
     "tables and sinks: names, globs, layer:NAME; separated by commas"},
    {'o', "output", 'o', "FORM",
     "table, json, ndjson, csv or markdown; query also parquet; graph: text, mermaid, dot, json, "
     "openlineage"},
    {'d', "dry-run", 0, NULL, "say what would be done, write nothing"},
    {'y', "yes", 'y', NULL, "do not ask"},
    {'r', "reason", 0, "TEXT", "why; kept in the receipt"},
    {'f', "for", 0, "DURATION", "stop after this long, e.g. 4m"},
    {'h', "shard", 0, "I/N", "only partitions of shard I of N (0-based)"},
    {'e', "deep", 0, NULL, "read every file and compare digests"},
    {'m', "from", 0, "FILE", "sample records, one JSON object a line"},
    {'t', "template", 0, "NAME", "inventory"},
    {'w', "why", 0, "CODE", "only refused records with this reason code"},
    {'c', "schema", 0, NULL, "print the JSON Schema of the pipeline file"},
    {'q', "quiet", 'q', NULL, "no progress"},
    {'i', "file", 'f', "FILE", "read the SQL from a file; - is standard input"},
    {'l', "memory-limit", 0, "SIZE", "spill beyond this much memory, e.g. 256MiB"},
    {'b', "rebuild", 0, NULL, "make the table anew from its sources"},
    {'A', "accept", 0, NULL, "publish the candidate that a gate held back"},
    {'D', "discard", 0, NULL, "drop the candidate that a gate held back"},
    {'W', "what-if", 0, NULL,
     "say what a promotion would change, gates and sinks too; write nothing"},
    {'M', "model", 0, "FILE", "with --what-if: this SQL instead of the model's"},
    {'S', "since", 0, "DURATION",
     "with --what-if: only keys that commits of the sources touched since, e.g. 7d"},
    {'a', "at", 0, "SNAPSHOT", "its id, a tag or a branch; the newest one, if not given"},
    {'j', "case", 0, "NAME", "of the hold"},
    {'u', "until", 0, "TIME", "when it ends by itself; never, if not given"},
    {'x', "drop", 0, NULL, "drop the tag"},
    {'C', "columns", 0, NULL, "with their columns, and where these come from"},
    {'T', "threads", 0, "N", "threads, default one a core"},
    {'N', "tenant", 0, "NAME",
     "of a pipeline with a lake for each tenant: these; repeatable, `all`, or `operator`"},
    {'k', "catalog", 0, "FILE",
     "a pipeline file that names the other catalog; laid over the first one"},
};
#define OPTION_COUNT (sizeof options / sizeof *options)

static const struct option_row *option_find(const char *name, size_t size)
{
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (strlen(options[i].name) == size && memcmp(options[i].name, name, size) == 0)
            return &options[i];
    return NULL;
}

static const char *nearest_option(const struct verb *verb, const char *name)
{
    const char *best = NULL;
    size_t best_distance = 4;
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (strchr(verb->options, options[i].letter) &&
            weir_text_distance(options[i].name, name) < best_distance) {
            best = options[i].name;
            best_distance = weir_text_distance(best, name);
        }
    return best;
}

static weir_status parse_graph_output(struct cli *cli, const char *text, struct weir_error *reterr)
{
    static const struct {
        const char *name;
        enum output_format form;
    } forms[] = {{"text", OUTPUT_TABLE}, {"table", OUTPUT_TABLE},
                 {"json", OUTPUT_JSON},  {"mermaid", OUTPUT_MERMAID},
                 {"dot", OUTPUT_DOT},    {"openlineage", OUTPUT_OPENLINEAGE}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (strcmp(forms[i].name, text) == 0) {
            cli->output = forms[i].form;
            cli->output_given = true;
            return WEIR_OK;
        }
    return weir_fail(reterr, WEIR_USAGE,
                     "-o %s: the forms are text, mermaid, dot, json, openlineage", text);
}

static weir_status parse_output(struct cli *cli, const char *text, struct weir_error *reterr)
{
    static const char *const names[] = {"table", "json", "ndjson", "csv", "markdown", "parquet"};
    int count = strchr(cli->verb->options, 'i') ? 6 : 5; /* parquet: of queries only */
    if (strchr(cli->verb->options, 'C'))
        return parse_graph_output(cli, text, reterr);
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], text) == 0) {
            cli->output = (enum output_format)i;
            cli->output_given = true;
            return WEIR_OK;
        }
    return weir_fail(reterr, WEIR_USAGE, "-o %s: the forms are table, json, ndjson, csv, markdown",
                     text);
}

static weir_status parse_shard(struct cli *cli, const char *text, struct weir_error *reterr)
{
    char tail;
    if (sscanf(text, "%d/%d%c", &cli->shard_index, &cli->shard_count, &tail) != 2 ||
        cli->shard_count < 1 || cli->shard_index < 0 || cli->shard_index >= cli->shard_count)
        return weir_fail(reterr, WEIR_USAGE, "--shard %s: give I/N with 0 <= I < N, e.g. 0/4",
                         text);
    return WEIR_OK;
}

static weir_status option_set(struct cli *cli, const struct option_row *row, const char *value,
                              struct weir_error *reterr)
{
    switch (row->letter) {
    case 'p':
        if (cli->file_count == CLI_FILES_MAX)
            return weir_fail(reterr, WEIR_USAGE, "more than %d pipeline files", CLI_FILES_MAX);
        cli->files[cli->file_count++] = value;
        break;
    case 's': cli->select = value; break;
    case 'o': return parse_output(cli, value, reterr);
    case 'd': cli->dry_run = true; break;
    case 'y': cli->yes = true; break;
    case 'r': cli->reason = value; break;
    case 'f':
        if (!weir_text_duration_ms(value, strlen(value), &cli->for_ms) || cli->for_ms <= 0)
            return weir_fail(reterr, WEIR_USAGE, "--for %s: give a duration such as 30s, 4m, 1h30m",
                             value);
        break;
    case 'h': return parse_shard(cli, value, reterr);
    case 'e': cli->deep = true; break;
    case 'k': cli->catalog_file = value; break;
    case 'N':
        if (cli->tenant_count == CLI_TENANTS_MAX)
            return weir_fail(reterr, WEIR_USAGE, "more than %d --tenant", CLI_TENANTS_MAX);
        cli->tenants[cli->tenant_count++] = value;
        break;
    case 'm': cli->from = value; break;
    case 't': cli->template_name = value; break;
    case 'w': cli->why = value; break;
    case 'c': cli->schema = true; break;
    case 'q': cli->quiet = true; break;
    case 'b': cli->rebuild = true; break;
    case 'A': cli->accept = true; break;
    case 'D': cli->discard = true; break;
    case 'W': cli->what_if = true; break;
    case 'a': cli->at = value; break;
    case 'x': cli->drop = true; break;
    case 'j': cli->case_name = value; break;
    case 'u': cli->until = value; break;
    case 'M': cli->model_file = value; break;
    case 'S':
        if (!weir_text_duration_ms(value, strlen(value), &cli->since_ms) || cli->since_ms <= 0)
            return weir_fail(reterr, WEIR_USAGE, "--since %s: give a duration such as 7d, 12h",
                             value);
        break;
    case 'C': cli->columns = true; break;
    case 'i': cli->sql_file = value; break;
    case 'l':
        if (!weir_text_size(value, strlen(value), &cli->memory_limit) || !cli->memory_limit)
            return weir_fail(reterr, WEIR_USAGE, "--memory-limit %s: give a size such as 256MiB",
                             value);
        break;
    case 'T':
        cli->threads = atoi(value);
        if (cli->threads < 1 || cli->threads > 64)
            return weir_fail(reterr, WEIR_USAGE, "--threads %s: give 1 to 64", value);
        break;
    }
    return WEIR_OK;
}

static weir_status option_unknown(const struct verb *verb, const char *name,
                                  struct weir_error *reterr)
{
    weir_status status = weir_fail(reterr, WEIR_USAGE, "weir %s has no option %s", verb->name,
                                   name);
    const char *nearest = nearest_option(verb, name[1] == '-' ? name + 2 : name + 1);
    if (nearest)
        weir_error_hint(reterr, "did you mean --%s? `weir help %s` lists them", nearest,
                        verb->name);
    else
        weir_error_hint(reterr, "`weir help %s` lists its options", verb->name);
    return status;
}

static weir_status parse_option(struct cli *cli, int argc, char **argv, int *at,
                                struct weir_error *reterr)
{
    const char *text = argv[*at], *value = NULL;
    const struct option_row *row = NULL;
    if (text[1] == '-') {
        const char *equals = strchr(text, '=');
        row = option_find(text + 2, equals ? (size_t)(equals - text - 2) : strlen(text + 2));
        value = equals ? equals + 1 : NULL;
    } else {
        for (size_t i = 0; i < OPTION_COUNT; i++)
            if (options[i].short_name && options[i].short_name == text[1])
                row = &options[i];
        value = text[2] ? text + 2 : NULL;
    }
    if (!row || !strchr(cli->verb->options, row->letter))
        return option_unknown(cli->verb, text, reterr);
    if (!row->argument && value)
        return weir_fail(reterr, WEIR_USAGE, "--%s takes no value", row->name);
    if (row->argument && !value) {
        if (*at + 1 >= argc)
            return weir_fail(reterr, WEIR_USAGE, "--%s needs a value: %s", row->name,
                             row->argument);
        value = argv[++*at];
    }
    return option_set(cli, row, value, reterr);
}

static weir_status verb_unknown(const char *name, struct weir_error *reterr)
{
    const char *best = NULL;
    size_t distance = 4;
    for (size_t i = 0; i < verb_count; i++)
        if (weir_text_distance(verbs[i].name, name) < distance) {
            best = verbs[i].name;
            distance = weir_text_distance(best, name);
        }
    weir_status status = weir_fail(reterr, WEIR_USAGE, "there is no verb %s", name);
    if (best)
        weir_error_hint(reterr, "did you mean `weir %s`? `weir help` lists them", best);
    else
        weir_error_hint(reterr, "`weir help` lists them");
    return status;
}

weir_status cli_parse(struct cli *cli, int argc, char **argv, struct weir_error *reterr)
{
    cli->shard_count = 1;
    if (argc < 2) {
        cli->verb = verb_find("help", 4);
        return WEIR_OK;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
    if (strcmp(name, "--version") == 0)
        name = "version";
    cli->verb = verb_find(name, strlen(name));
    if (!cli->verb)
        return verb_unknown(name, reterr);
    bool only_arguments = false;
    for (int i = 2; i < argc; i++) {
        if (!only_arguments && strcmp(argv[i], "--") == 0) {
            only_arguments = true;
        } else if (!only_arguments &&
                   (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)) {
            cli->arguments[0] = cli->verb->name;
            cli->argument_count = 1;
            cli->verb = verb_find("help", 4);
            return WEIR_OK;
        } else if (!only_arguments && argv[i][0] == '-' && argv[i][1]) {
            WEIR_TRY(parse_option(cli, argc, argv, &i, reterr));
        } else {
            if (cli->argument_count == CLI_ARGUMENTS_MAX)
                return weir_fail(reterr, WEIR_USAGE, "too many arguments");
            cli->arguments[cli->argument_count++] = argv[i];
        }
    }
    if (cli->argument_count && !*cli->verb->arguments)
        return weir_fail(reterr, WEIR_USAGE, "weir %s takes no argument: %s", cli->verb->name,
                         cli->arguments[0]);
    return WEIR_OK;
}

static void help_all(void)
{
    printf("weir: Kafka and files to Apache Iceberg, exactly once\n\nusage: weir VERB [options] "
           "[arguments]\n");
    const char *group = "";
    for (size_t i = 0; i < verb_count; i++) {
        if (strcmp(group, verbs[i].group) != 0) {
            group = verbs[i].group;
            printf("\n%s\n", group);
        }
        char left[64];
        snprintf(left, sizeof left, "%s %s", verbs[i].name, verbs[i].arguments);
        printf("  %-46s %s\n", left, verbs[i].summary);
    }
    printf("\n`weir help VERB` says all about one. Exit codes: 0 done, 1 failed, 2 usage or "
           "refused place, 3 a gate said no,\n"
           "4 a person must decide, 75 try again, 130 interrupted.\n");
}

void cli_help(const struct verb *verb)
{
    if (!verb) {
        help_all();
        return;
    }
    printf("usage: weir %s%s%s%s\n\n%s\n", verb->name, *verb->options ? " [options]" : "",
           *verb->arguments ? " " : "", verb->arguments, verb->summary);
    if (*verb->help)
        printf("\n%s\n", verb->help);
    if (*verb->options)
        printf("\nOptions\n");
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (!strchr(verb->options, options[i].letter))
            continue;
        char left[64], shortcut[8] = "    ";
        if (options[i].short_name)
            snprintf(shortcut, sizeof shortcut, "-%c, ", options[i].short_name);
        snprintf(left, sizeof left, "%s--%s%s%s", shortcut, options[i].name,
                 options[i].argument ? " " : "", options[i].argument ? options[i].argument : "");
        printf("  %-26s %s\n", left, options[i].help);
    }
}

static void report_error(void *argument, const char *text)
{
    fprintf(stderr, "%s\n", text);
}

/* Of a pipeline of many lakes: the one that the verb is for, or all of them as they are. */
static weir_status choose_lake(const struct cli *cli, struct weir_pipeline **pipeline,
                               struct weir_error *reterr)
{
    struct weir_pipeline *whole = *pipeline, *lake;
    bool all = cli->verb->lakes != LAKES_ONE && cli->tenant_count == 0;
    if (whole->lake_count == 0 && cli->tenant_count)
        return weir_fail(reterr, WEIR_USAGE,
                         "--tenant: %s has one lake, lake.tenant.from is not set", whole->file);
    WEIR_TRY(cli_check_tenants(cli, whole, reterr));
    if (whole->lake_count == 0 || cli->verb->lakes == LAKES_EACH || cli->verb->run == verb_run ||
        all)
        return WEIR_OK;
    WEIR_TRY(cli_one_lake(cli, whole, &lake, reterr));
    lake->whole = whole;
    *pipeline = lake;
    return WEIR_OK;
}

weir_status cli_pipeline(struct cli *cli, struct weir_pipeline **ret_pipeline,
                         struct weir_error *reterr)
{
    if (cli->lake_now) {
        *ret_pipeline = cli->lake_now;
        if (!cli->lake_now->is_part)
            cli->lake_now = NULL; /* the verb's to free */
        return WEIR_OK;
    }
    static const char *const standard[] = {"weir.yaml"};
    struct weir_pipeline *pipeline;
    if (cli->file_count == 0 && access("weir.yaml", R_OK) != 0) {
        weir_status status = weir_fail(reterr, WEIR_USAGE, "there is no weir.yaml here");
        weir_error_hint(reterr,
                        "name the pipeline file with -p FILE, or start one with `weir init`");
        return status;
    }
    WEIR_TRY(weir_pipeline_read(cli->context, cli->file_count ? cli->files : standard,
                                cli->file_count ? cli->file_count : 1, report_error, NULL,
                                &pipeline, reterr));
    weir_status status = choose_lake(cli, &pipeline, reterr);
    if (status != WEIR_OK) {
        weir_pipeline_free(pipeline);
        return status;
    }
    *ret_pipeline = pipeline;
    if (pipeline->threads > 0)
        cli->context->thread_count = pipeline->threads;
    cli->context->memory.limit = pipeline->memory_limit;
    int64_t budget = cli->for_ms && (!pipeline->deadline_ms || cli->for_ms < pipeline->deadline_ms)
                         ? cli->for_ms
                         : pipeline->deadline_ms;
    cli->context->deadline_steady_ms = budget ? weir_steady_ms(cli->context) + budget : 0;
    return WEIR_OK;
}

static bool matches(const char *pattern, size_t size, const char *table)
{
    char text[300];
    if (size >= sizeof text)
        return false;
    memcpy(text, pattern, size);
    text[size] = '\0';
    if (strncmp(text, "layer:", 6) == 0)
        return strncmp(table, text + 6, size - 6) == 0 && table[size - 6] == '.';
    const char *dot = strchr(table, '.');
    return fnmatch(text, table, 0) == 0 || (dot && fnmatch(text, dot + 1, 0) == 0);
}

bool cli_selected(const struct cli *cli, const char *table)
{
    if (!cli->select)
        return true;
    for (const char *at = cli->select; *at;) {
        size_t size = strcspn(at, ", ");
        if (size && matches(at, size, table))
            return true;
        at += size + (at[size] != '\0');
    }
    return false;
}

weir_status cli_check_selection(const struct cli *cli, const struct weir_pipeline *pipeline,
                                struct weir_error *reterr)
{
    for (size_t i = 0; i < pipeline->table_count; i++)
        if (cli_selected(cli, pipeline->tables[i].name))
            return WEIR_OK;
    for (size_t i = 0; i < pipeline->model_count; i++)
        if (cli_selected(cli, pipeline->models[i].table.name))
            return WEIR_OK;
    for (size_t i = 0; i < pipeline->sink_count; i++)
        if (cli_selected(cli, pipeline->sinks[i].name))
            return WEIR_OK;
    return weir_fail(reterr, WEIR_USAGE, "-s %s chooses none of the %zu tables of %s",
                     cli->select ? cli->select : "", pipeline->table_count + pipeline->model_count,
                     pipeline->file);
}

weir_status cli_table(struct cli *cli, const struct weir_pipeline *pipeline,
                      const struct weir_table_config **ret_table, struct weir_error *reterr)
{
    const char *name = cli->argument_count ? cli->arguments[cli->argument_count - 1] : NULL,
               *best = NULL;
    size_t distance = 6;
    if (!name)
        return weir_fail(reterr, WEIR_USAGE, "weir %s needs a table's name", cli->verb->name);
    for (size_t i = 0; i < pipeline->model_count; i++)
        if (strcmp(pipeline->models[i].table.name, name) == 0) {
            if (strcmp(cli->verb->name, "history") != 0 &&
                strcmp(cli->verb->name, "quarantine") != 0)
                return weir_fail(reterr, WEIR_USAGE,
                                 "%s is a model: weir %s is for tables that a "
                                 "source fills",
                                 name, cli->verb->name);
            *ret_table = &pipeline->models[i].table;
            return WEIR_OK;
        }
    for (size_t i = 0; i < pipeline->table_count; i++) {
        const struct weir_table_config *table = &pipeline->tables[i];
        if (strcmp(table->name, name) == 0 || strcmp(table->short_name, name) == 0) {
            *ret_table = table;
            return WEIR_OK;
        }
        if (weir_text_distance(table->name, name) < distance) {
            best = table->name;
            distance = weir_text_distance(best, name);
        }
    }
    weir_status status = weir_fail(reterr, WEIR_USAGE, "%s has no table %s", pipeline->file, name);
    if (best)
        weir_error_hint(reterr, "did you mean %s?", best);
    return status;
}

weir_status cli_confirm(struct cli *cli, const char *question, struct weir_error *reterr)
{
    if (cli->yes)
        return WEIR_OK;
    if (!isatty(STDIN_FILENO)) {
        weir_status status = weir_fail(reterr, WEIR_USAGE, "%s: not done without a yes", question);
        weir_error_hint(reterr, "add --yes (and --reason)");
        return status;
    }
    fprintf(stderr, "%s [y/N] ", question);
    char answer[16];
    if (fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y'))
        return WEIR_OK;
    return weir_fail(reterr, WEIR_USAGE, "not done");
}
