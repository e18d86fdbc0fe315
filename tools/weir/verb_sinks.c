/* weir sinks: who is told of changes, how far, and what was refused; and the part of weir run that
 * tells them. */
#include "tools/weir/cli.h"

#include <stdio.h>
#include <string.h>

static bool is_chosen(const struct cli *cli, const struct weir_sink_config *sink)
{
    return cli_selected(cli, sink->from->name) || cli_selected(cli, sink->name);
}

void cli_print_delivery(const json_t *outcome)
{
    const char *name = json_string_value(json_object_get(outcome, "sink")),
               *holder = json_string_value(json_object_get(outcome, "held_by"));
    json_t *delivered = json_object_get(outcome, "delivered");
    int64_t dead = json_integer_value(json_object_get(outcome, "dead")),
            aged = json_integer_value(json_object_get(outcome, "aged"));
    if (holder)
        printf("sink %s: another run is at it: %s\n", name, holder);
    else if (json_is_true(json_object_get(outcome, "idle")) && !json_object_get(outcome, "error"))
        printf("sink %s: nothing to do\n", name);
    else if (delivered)
        printf("sink %s: %" JSON_INTEGER_FORMAT " inserts, %" JSON_INTEGER_FORMAT
               " updates, %" JSON_INTEGER_FORMAT " deletes of %" JSON_INTEGER_FORMAT " commits%s\n",
               name, json_integer_value(json_object_get(delivered, "insert")),
               json_integer_value(json_object_get(delivered, "update")),
               json_integer_value(json_object_get(delivered, "delete")),
               json_integer_value(json_object_get(outcome, "snapshots")),
               json_object_get(outcome, "error") ? "; then it stopped" : "");
    if (dead)
        printf("  %lld were refused and are dead letters: weir sinks dead %s\n", (long long)dead,
               name);
    if (aged)
        printf("  %lld were older than max_age and not sent\n", (long long)aged);
}

weir_status cli_deliver(struct cli *cli, struct weir_lake *lake,
                        const struct weir_pipeline *pipeline, json_t *record,
                        struct weir_error *reterr)
{
    weir_status worst = WEIR_OK;
    for (size_t i = 0; i < pipeline->sink_count && !atomic_load(&cli->context->stop); i++) {
        const struct weir_sink_config *sink = &pipeline->sinks[i];
        struct weir_sink_options options = {.lake = lake, .pipeline = pipeline, .sink = sink};
        struct weir_error error = {0};
        json_t *outcome = NULL;
        if (!is_chosen(cli, sink))
            continue;
        int64_t started_ms = weir_now_ms(cli->context);
        weir_status status = weir_sink_allowed(cli->context, pipeline, sink, &error);
        if (status == WEIR_OK)
            status = weir_sink_run(&options, &outcome, &error);
        weir_openlineage_tell_sink(cli->lineage, sink, outcome, started_ms, status, &error);
        if (!outcome)
            outcome = json_pack("{s:s, s:s}", "sink", sink->name, "error", error.text);
        json_object_set_new(outcome, "status", json_string(weir_status_name(status)));
        json_array_append_new(json_object_get(record, "sinks"), outcome);
        if (status == WEIR_OK)
            continue;
        if (worst != WEIR_OK)
            fprintf(stderr, "weir: %s\n", reterr->text);
        worst = status;
        *reterr = error;
    }
    return worst;
}

weir_status cli_sink_states(struct cli *cli, struct weir_lake *lake,
                            const struct weir_pipeline *pipeline, json_t **ret_states,
                            struct weir_error *reterr)
{
    json_t *states = json_array(), *state;
    for (size_t i = 0; i < pipeline->sink_count; i++) {
        struct weir_sink_options options = {
            .lake = lake, .pipeline = pipeline, .sink = &pipeline->sinks[i]};
        if (!is_chosen(cli, &pipeline->sinks[i]))
            continue;
        weir_status status = weir_sink_state(&options, &state, reterr);
        if (status != WEIR_OK) {
            json_decref(states);
            return status;
        }
        json_array_append_new(states, state);
    }
    *ret_states = states;
    return WEIR_OK;
}

static weir_status list(struct cli *cli, struct weir_lake *lake,
                        const struct weir_pipeline *pipeline, struct weir_error *reterr)
{
    json_t *states, *state;
    size_t at;
    WEIR_TRY(cli_sink_states(cli, lake, pipeline, &states, reterr));
    bool flat = cli->output != OUTPUT_JSON && cli->output != OUTPUT_NDJSON;
    json_array_foreach(states, at, state)
    {
        json_t *delivered = json_object_get(state, "delivered");
        int64_t sum = json_integer_value(json_object_get(delivered, "insert")) +
                      json_integer_value(json_object_get(delivered, "update")) +
                      json_integer_value(json_object_get(delivered, "delete"));
        if (flat)
            json_object_set_new(state, "sent", json_integer(sum));
        const char *problem = json_string_value(json_object_get(state, "problem"));
        json_object_set_new(state, "state", json_string(problem ? problem : "ok"));
    }
    static const char *const columns[] = {"sink", "table", "kind", "waiting", "seconds_behind",
                                          "sent", "dead",  "aged", "state",   NULL};
    weir_status status = cli_rows(cli, states, flat ? columns : NULL, reterr);
    json_decref(states);
    return status;
}

static weir_status find_sink(const struct weir_pipeline *pipeline, const char *name,
                             const struct weir_sink_config **ret_sink, struct weir_error *reterr)
{
    char known[512] = "";
    for (size_t i = 0; i < pipeline->sink_count; i++) {
        if (strcmp(pipeline->sinks[i].name, name) == 0) {
            *ret_sink = &pipeline->sinks[i];
            return WEIR_OK;
        }
        size_t used = strlen(known);
        if (used < 400)
            snprintf(known + used, sizeof known - used, "%s%.100s", i ? ", " : "",
                     pipeline->sinks[i].name);
    }
    weir_status status = weir_fail(reterr, WEIR_USAGE, "the pipeline file has no sink %s", name);
    weir_error_hint(reterr, "it has: %s", *known ? known : "none");
    return status;
}

/* Values of rows are shown masked: the letters themselves lie in the lake. */
static weir_status dead(struct cli *cli, const struct weir_sink_options *options,
                        struct weir_error *reterr)
{
    json_t *letters, *letter;
    size_t at;
    WEIR_TRY(weir_sink_dead(options, &letters, reterr));
    json_array_foreach(letters, at, letter)
    {
        json_object_del(letter, "row");
        json_object_del(letter, "key");
        json_object_del(letter, "key_text");
        json_object_del(letter, "sent");
    }
    static const char *const columns[] = {"id",     "change", "version", "tries",
                                          "reason", "object", NULL};
    weir_status status = cli_rows(cli, letters, columns, reterr);
    json_decref(letters);
    return status;
}

static void note_superseded(const struct weir_sink_options *options, const json_t *outcome)
{
    json_int_t left = json_integer_value(json_object_get(outcome, "superseded"));
    if (left)
        fprintf(stderr,
                "weir: %lld left where they are: their rows were changed or deleted since. `weir "
                "sinks discard %s` drops them, `weir sinks retry %s all` sends them all the same\n",
                (long long)left, options->sink->name, options->sink->name);
}

static weir_status retry_or_discard(struct cli *cli, const struct weir_sink_options *options,
                                    bool discard, struct weir_error *reterr)
{
    json_t *outcome;
    char question[400];
    const char *which = cli->argument_count > 2 ? cli->arguments[2] : "";
    if (*which && (discard || strcmp(which, "all") != 0))
        return weir_fail(reterr, WEIR_USAGE, "weir sinks %s %s %s: what is \"%s\"?",
                         cli->arguments[0], options->sink->name, which, which);
    snprintf(question, sizeof question, "drop the dead letters of sink %s?", options->sink->name);
    if (discard)
        WEIR_TRY(cli_confirm(cli, question, reterr));
    else
        WEIR_TRY(weir_sink_allowed(cli->context, options->pipeline, options->sink, reterr));
    weir_status status = discard ? weir_sink_dead_discard(options, &outcome, reterr)
                                 : weir_sink_dead_retry(options, *which != 0, &outcome, reterr);
    if (outcome) {
        cli_object(cli, outcome);
        note_superseded(options, outcome);
    }
    json_decref(outcome);
    return status;
}

static weir_status reset(struct cli *cli, const struct weir_sink_options *options,
                         struct weir_error *reterr)
{
    char question[400];
    const char *where = cli->argument_count > 2 ? cli->arguments[2] : "";
    bool latest = strcmp(where, "latest") == 0;
    if (!latest && strcmp(where, "earliest") != 0)
        return weir_fail(reterr, WEIR_USAGE, "weir sinks reset %s: earliest or latest?",
                         options->sink->name);
    snprintf(question, sizeof question, "sink %s: %s?", options->sink->name,
             latest ? "leave out what it has not been told yet"
                    : "send everything that is in the table again");
    WEIR_TRY(cli_confirm(cli, question, reterr));
    WEIR_TRY(weir_sink_reset(options, latest, reterr));
    printf("sink %s: begins at the %s\n", options->sink->name,
           latest ? "table's head" : "beginning");
    return WEIR_OK;
}

static weir_status act(struct cli *cli, struct weir_lake *lake,
                       const struct weir_pipeline *pipeline, const char *action,
                       struct weir_error *reterr)
{
    struct weir_sink_options options = {.lake = lake, .pipeline = pipeline};
    if (strcmp(action, "list") == 0)
        return list(cli, lake, pipeline, reterr);
    if (cli->argument_count < 2)
        return weir_fail(reterr, WEIR_USAGE, "weir sinks %s: which one?", action);
    WEIR_TRY(find_sink(pipeline, cli->arguments[1], &options.sink, reterr));
    if (strcmp(action, "dead") == 0)
        return dead(cli, &options, reterr);
    if (strcmp(action, "reset") == 0)
        return reset(cli, &options, reterr);
    return retry_or_discard(cli, &options, strcmp(action, "discard") == 0, reterr);
}

weir_status verb_sinks(struct cli *cli, struct weir_error *reterr)
{
    static const char *const actions[] = {"list", "dead", "retry", "discard", "reset"};
    const char *action = cli->argument_count ? cli->arguments[0] : "list";
    struct weir_pipeline *pipeline;
    struct weir_lake lake;
    int at = 0;
    while (at < 5 && strcmp(actions[at], action) != 0)
        at++;
    if (at == 5)
        return weir_fail(reterr, WEIR_USAGE,
                         "weir sinks %s: it is list, dead, retry, discard or reset", action);
    WEIR_TRY(cli_pipeline(cli, &pipeline, reterr));
    weir_status status = weir_lake_open(cli->context, pipeline, at > 1, &lake, reterr);
    if (status == WEIR_OK) {
        lake.reason = cli->reason;
        status = act(cli, &lake, pipeline, action, reterr);
        weir_lake_close(&lake);
    }
    weir_pipeline_free(pipeline);
    return status;
}
