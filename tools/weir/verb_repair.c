/* offsets and quarantine: what a person looks at and decides. Every decision asks, takes a reason,
 * and lands as a commit with a receipt. */
#include "tools/weir/cli.h"

#include "engine/base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct desk {
    struct weir_pipeline *pipeline;
    struct weir_lake lake;
    const struct weir_table_config *table;
    const struct weir_model_config *model; /* that the table is of; NULL: a source fills it */
    char actor[128];
};

static weir_status desk_open(struct cli *cli, bool for_writing, bool needs_table, struct desk *desk,
                             struct weir_error *reterr)
{
    *desk = (struct desk){0};
    WEIR_TRY(cli_pipeline(cli, &desk->pipeline, reterr));
    weir_status status = needs_table ? cli_table(cli, desk->pipeline, &desk->table, reterr)
                                     : WEIR_OK;
    if (status == WEIR_OK)
        status = weir_lake_open(cli->context, desk->pipeline, for_writing, &desk->lake, reterr);
    if (status != WEIR_OK) {
        weir_pipeline_free(desk->pipeline);
        return status;
    }
    const char *user = getenv("USER");
    char host[64] = "";
    gethostname(host, sizeof host - 1);
    snprintf(desk->actor, sizeof desk->actor, "%s@%s", user && *user ? user : "unknown", host);
    for (size_t i = 0; i < desk->pipeline->model_count; i++)
        if (desk->table == &desk->pipeline->models[i].table)
            desk->model = &desk->pipeline->models[i];
    desk->lake.actor = desk->actor;
    desk->lake.reason = cli->reason;
    return WEIR_OK;
}

static void desk_close(struct desk *desk)
{
    weir_lake_close(&desk->lake);
    weir_pipeline_free(desk->pipeline);
}

static struct weir_window_options desk_options(struct desk *desk)
{
    return (struct weir_window_options){
        .lake = &desk->lake, .pipeline = desk->pipeline, .table = desk->table, .shard_count = 1};
}

static json_t *offset_row(const char *key, const json_t *entry)
{
    json_t *row = json_object();
    char cluster[128] = "", topic[256] = "";
    int incarnation = 0, partition = 0;
    sscanf(key, "%127[^/]/%255[^/]/%d/%d", cluster, topic, &incarnation, &partition);
    if (key[0] == '/')
        sscanf(key, "/%255[^/]/%d/%d", topic, &incarnation, &partition);
    json_object_set_new(row, "topic", json_string(topic));
    json_object_set_new(row, "partition", json_integer(partition));
    json_object_set(row, "start", json_object_get(entry, "start"));
    json_object_set(row, "next", json_object_get(entry, "next"));
    json_object_set_new(row, "cluster", json_string(cluster));
    json_object_set_new(row, "incarnation", json_integer(incarnation));
    return row;
}

static weir_status offsets_show(struct cli *cli, struct desk *desk, struct weir_error *reterr)
{
    struct weir_table *table;
    json_t *truth, *rows = json_array(), *entry;
    const char *key;
    weir_status status = desk->lake.catalog.operations->load(desk->lake.catalog.self,
                                                             desk->table->name, &table, reterr);
    if (status != WEIR_OK) {
        json_decref(rows);
        return status;
    }
    status = weir_truth(&desk->lake.store, &cli->context->memory, table->metadata, "main", &truth,
                        reterr);
    if (status == WEIR_OK) {
        json_object_foreach(json_object_get(truth, "next"), key, entry)
        {
            json_t *row = offset_row(key, entry),
                   *holes = json_object_get(json_object_get(truth, "holes"), key);
            json_object_set(row, "holes", holes ? holes : json_null());
            json_array_append_new(rows, row);
        }
        static const char *const columns[] = {"topic", "partition",   "start",   "next",
                                              "holes", "incarnation", "cluster", NULL};
        status = cli_rows(cli, rows, columns, reterr);
        json_decref(truth);
    }
    json_decref(rows);
    weir_table_free(table);
    return status;
}

static weir_status need_reason(const struct cli *cli, struct weir_error *reterr)
{
    if (cli->reason && *cli->reason)
        return WEIR_OK;
    weir_status status = weir_fail(reterr, WEIR_USAGE, "weir %s %s needs --reason TEXT",
                                   cli->verb->name, cli->arguments[0]);
    weir_error_hint(reterr, "it is kept in the receipt, for whoever asks later");
    return status;
}

static weir_status offsets_decide(struct cli *cli, struct desk *desk, bool rebind,
                                  struct weir_error *reterr)
{
    struct weir_window_options options = desk_options(desk);
    json_t *outcome;
    char question[400];
    if (cli->dry_run) {
        printf("%s: would %s\n", desk->table->name,
               rebind ? "go on with the topic as it is now, from its start"
                      : "record the offsets that Kafka no longer has as a hole");
        return WEIR_OK;
    }
    WEIR_TRY(need_reason(cli, reterr));
    snprintf(question, sizeof question,
             rebind ? "%s: go on with the topic as it is now, from its first offset?"
                    : "%s: record the offsets Kafka no longer has as lost, and go on?",
             desk->table->name);
    WEIR_TRY(cli_confirm(cli, question, reterr));
    WEIR_TRY(rebind ? weir_offsets_rebind(&options, &outcome, reterr)
                    : weir_offsets_accept_gap(&options, &outcome, reterr));
    if (json_array_size(json_object_get(outcome, "moved")) == 0 && cli->output == OUTPUT_TABLE)
        printf("%s: nothing to do\n", desk->table->name);
    else if (cli->output == OUTPUT_TABLE)
        (void)!cli_rows(cli, json_object_get(outcome, "moved"), NULL, NULL);
    else
        cli_object(cli, outcome);
    json_decref(outcome);
    return WEIR_OK;
}

static weir_status action_unknown(const struct cli *cli, const char *known,
                                  struct weir_error *reterr)
{
    return weir_fail(reterr, WEIR_USAGE, "weir %s%s%s: give one of %s", cli->verb->name,
                     cli->argument_count ? " " : "", cli->argument_count ? cli->arguments[0] : "",
                     known);
}

weir_status verb_offsets(struct cli *cli, struct weir_error *reterr)
{
    const char *action = cli->argument_count ? cli->arguments[0] : "";
    bool show = strcmp(action, "show") == 0, rebind = strcmp(action, "rebind") == 0;
    if (!show && !rebind && strcmp(action, "accept-gap") != 0)
        return action_unknown(cli, "show, accept-gap, rebind", reterr);
    if (cli->argument_count != 2)
        return weir_fail(reterr, WEIR_USAGE, "weir offsets %s needs one table", action);
    struct desk desk;
    WEIR_TRY(desk_open(cli, !show && !cli->dry_run, true, &desk, reterr));
    weir_status status = show ? offsets_show(cli, &desk, reterr)
                              : offsets_decide(cli, &desk, rebind, reterr);
    desk_close(&desk);
    return status;
}

/* ---- quarantine ---- */

struct grouping {
    json_t *groups;
    const char *why;
};

/* Messages name paths and wanted types, never values, so they may be shown; raw bytes are masked
 * but for their length. */
static weir_status group_letter(void *argument, const struct weir_letter *letter)
{
    struct grouping *grouping = argument;
    if (grouping->why && strcmp(grouping->why, letter->reason) != 0)
        return WEIR_OK;
    char key[1400], place[1200];
    snprintf(key, sizeof key, "%s\n%s", letter->reason, letter->message);
    json_t *group = json_object_get(grouping->groups, key);
    if (letter->topic)
        snprintf(place, sizeof place, "%s/%d:%" PRId64, letter->topic, letter->partition,
                 letter->offset_or_row);
    else
        snprintf(place, sizeof place, "%s:%" PRId64, letter->path ? letter->path : "",
                 letter->offset_or_row);
    if (!group) {
        char masked[64];
        snprintf(masked, sizeof masked, "(%zu bytes, masked)", letter->raw.size);
        group = json_pack("{s:s, s:i, s:s, s:s, s:s, s:I}", "reason", letter->reason, "count", 0,
                          "message", letter->message, "first", place, "raw", masked, "position",
                          (json_int_t)letter->position);
        if (!group)
            return WEIR_NO_MEMORY;
        json_object_set_new(grouping->groups, key, group);
    }
    json_object_set_new(group, "count",
                        json_integer(json_integer_value(json_object_get(group, "count")) + 1));
    json_object_set_new(group, "last", json_string(place));
    return WEIR_OK;
}

static weir_status quarantine_groups(struct cli *cli, struct desk *desk,
                                     const struct weir_table_config *config,
                                     const struct weir_model_config *model, json_t **ret_groups,
                                     struct weir_error *reterr)
{
    struct weir_table *table;
    if (model)
        return weir_promote_set_aside(&desk->lake, model, cli->why, ret_groups, reterr);
    struct grouping grouping = {json_object(), cli->why};
    weir_status status = desk->lake.catalog.operations->load(desk->lake.catalog.self, config->name,
                                                             &table, reterr);
    if (status == WEIR_OK) {
        status = weir_letters_visit(&desk->lake, config, table, group_letter, &grouping, reterr);
        weir_table_free(table);
    } else if (status == WEIR_NOT_FOUND) {
        status = WEIR_OK;
    }
    json_t *groups = json_array(), *group;
    const char *key;
    json_object_foreach(grouping.groups, key, group) json_array_append(groups, group);
    json_decref(grouping.groups);
    if (status == WEIR_OK)
        *ret_groups = groups;
    else
        json_decref(groups);
    return status;
}

static weir_status quarantine_show(struct cli *cli, struct desk *desk, struct weir_error *reterr)
{
    json_t *groups;
    WEIR_TRY(quarantine_groups(cli, desk, desk->table, desk->model, &groups, reterr));
    static const char *const columns[] = {"reason", "count",    "message", "first",
                                          "last",   "position", "raw",     NULL};
    weir_status status = cli_rows(cli, groups, columns, reterr);
    json_decref(groups);
    return status;
}

static weir_status quarantine_list(struct cli *cli, struct desk *desk, struct weir_error *reterr)
{
    json_t *rows = json_array();
    weir_status status = WEIR_OK;
    const struct weir_pipeline *pipeline = desk->pipeline;
    for (size_t i = 0; status == WEIR_OK && i < pipeline->table_count + pipeline->model_count;
         i++) {
        const struct weir_model_config *model = i < pipeline->table_count
                                                    ? NULL
                                                    : &pipeline->models[i - pipeline->table_count];
        const struct weir_table_config *config = model ? &model->table : &pipeline->tables[i];
        json_t *groups, *group, *reasons = json_object();
        size_t at;
        int64_t total = 0;
        if (!cli_selected(cli, config->name) || (model && !model->aside_count)) {
            json_decref(reasons);
            continue;
        }
        status = quarantine_groups(cli, desk, config, model, &groups, reterr);
        if (status != WEIR_OK) {
            json_decref(reasons);
            break;
        }
        json_array_foreach(groups, at, group)
        {
            const char *reason = json_string_value(json_object_get(group, "reason"));
            int64_t count = json_integer_value(json_object_get(group, "count"));
            json_object_set_new(
                reasons, reason,
                json_integer(json_integer_value(json_object_get(reasons, reason)) + count));
            total += count;
        }
        json_array_append_new(rows, json_pack("{s:s, s:I, s:o}", "table", config->name, "refused",
                                              (json_int_t)total, "reasons", reasons));
        json_decref(groups);
    }
    static const char *const columns[] = {"table", "refused", "reasons", NULL};
    if (status == WEIR_OK)
        status = cli_rows(cli, rows, columns, reterr);
    json_decref(rows);
    return status;
}

static weir_status quarantine_act(struct cli *cli, struct desk *desk, bool discard,
                                  struct weir_error *reterr)
{
    struct weir_window_options options = desk_options(desk);
    json_t *outcome;
    char question[400];
    if (desk->model) {
        weir_status status = weir_fail(reterr, WEIR_USAGE,
                                       "%s is a model: its rows are judged anew with what they are "
                                       "made of",
                                       desk->table->name);
        weir_error_hint(reterr,
                        "mend the source, the SQL or the check; weir promote %s --rebuild "
                        "judges all of them",
                        desk->table->name);
        return status;
    }
    if (cli->dry_run)
        return quarantine_show(cli, desk, reterr);
    if (discard) {
        WEIR_TRY(need_reason(cli, reterr));
        snprintf(question, sizeof question, "%s: take its refused records%s%s out of force?",
                 desk->table->name, cli->why ? " with reason " : "", cli->why ? cli->why : "");
        WEIR_TRY(cli_confirm(cli, question, reterr));
    }
    WEIR_TRY(discard ? weir_quarantine_discard(&options, cli->why, &outcome, reterr)
                     : weir_quarantine_retry(&options, cli->why, &outcome, reterr));
    if (cli->output == OUTPUT_TABLE && discard)
        printf("%s: %" JSON_INTEGER_FORMAT " discarded\n", desk->table->name,
               json_integer_value(json_object_get(outcome, "discarded")));
    else if (cli->output == OUTPUT_TABLE)
        printf("%s: %" JSON_INTEGER_FORMAT " landed, %" JSON_INTEGER_FORMAT " still refused\n",
               desk->table->name, json_integer_value(json_object_get(outcome, "landed")),
               json_integer_value(json_object_get(outcome, "still_refused")));
    else
        cli_object(cli, outcome);
    json_decref(outcome);
    return WEIR_OK;
}

weir_status verb_quarantine(struct cli *cli, struct weir_error *reterr)
{
    const char *action = cli->argument_count ? cli->arguments[0] : "";
    bool list = strcmp(action, "list") == 0, show = strcmp(action, "show") == 0,
         retry = strcmp(action, "retry") == 0, discard = strcmp(action, "discard") == 0;
    if (!list && !show && !retry && !discard)
        return action_unknown(cli, "list, show, retry, discard", reterr);
    if (!list && cli->argument_count != 2)
        return weir_fail(reterr, WEIR_USAGE, "weir quarantine %s needs one table", action);
    struct desk desk;
    WEIR_TRY(desk_open(cli, (retry || discard) && !cli->dry_run, !list, &desk, reterr));
    weir_status status = list   ? quarantine_list(cli, &desk, reterr)
                         : show ? quarantine_show(cli, &desk, reterr)
                                : quarantine_act(cli, &desk, discard, reterr);
    desk_close(&desk);
    return status;
}
