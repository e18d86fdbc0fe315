/* All actions of a table, in their order, under one lease. The lease spares wasted work alone: two
 * at once would land one of each piece. */
#include "scheduler/upkeep/upkeep_int.h"

#include <stdio.h>
#include <string.h>

static bool retains(const struct weir_lifecycle_config *rule)
{
    return rule->retain_ms > 0 || rule->quarantine_ms >= 0;
}

static bool compacts(const struct weir_lifecycle_config *rule)
{
    return rule->compacts;
}

static bool expires(const struct weir_lifecycle_config *rule)
{
    return rule->expires;
}

static bool sweeps(const struct weir_lifecycle_config *rule)
{
    return rule->sweeps;
}

/* What one leaves, the next finds: rows that go need not be put together, snapshots before them may
 * go at once. */
const struct weir_upkeep_step weir_upkeep_steps[] = {
    {"retain", retains, weir_upkeep_retain, true},
    {"compact", compacts, weir_upkeep_compact, false},
    {"expire", expires, weir_upkeep_expire, true},
    {"sweep", sweeps, weir_upkeep_sweep, true},
};
const size_t weir_upkeep_step_count = sizeof weir_upkeep_steps / sizeof *weir_upkeep_steps;

bool weir_upkeep_has_rule(const struct weir_table_config *table)
{
    for (size_t i = 0; i < weir_upkeep_step_count; i++)
        if (weir_upkeep_steps[i].has_rule(&table->lifecycle))
            return true;
    return false;
}

static json_t *failed(const struct weir_upkeep_options *options, const char *action,
                      weir_status status, const struct weir_error *error)
{
    return json_pack("{s:s, s:s, s:s, s:s}", "table", options->table->name, "action", action,
                     "error", error->text, "status", weir_status_name(status));
}

/* The time is over in the middle of a piece: as if it had not begun. */
static json_t *interrupted(const struct weir_upkeep_options *options, const char *action)
{
    return json_pack("{s:s, s:s, s:b, s:b, s:s}", "table", options->table->name, "action", action,
                     "idle", 1, "done", 0, "reason", "the time was over");
}

/* A hold is asked by everything that deletes. By hand it is a person's to decide. */
static weir_status run_step(const struct weir_upkeep_options *options,
                            const struct weir_upkeep_step *step, json_t **ret_outcome,
                            struct weir_error *reterr)
{
    char held[128] = "", reason[200];
    if (step->deletes)
        WEIR_TRY(upkeep_held(options, held, reterr));
    if (!*held)
        return step->run(options, ret_outcome, reterr);
    if (options->by_hand && !options->dry_run) {
        weir_status status = weir_fail(reterr, WEIR_DECISION, "%s is held for case %s",
                                       options->table->name, held);
        weir_error_hint(reterr, "weir hold release %s --case %s --reason TEXT",
                        options->table->name, held);
        return status;
    }
    snprintf(reason, sizeof reason, "held for case %s", held);
    *ret_outcome = upkeep_idle(options, step->name, reason);
    return WEIR_OK;
}

static weir_status do_steps(const struct weir_upkeep_options *options, const char *only,
                            json_t *outcomes, struct weir_error *reterr)
{
    weir_status worst = WEIR_OK;
    for (size_t i = 0; i < weir_upkeep_step_count; i++) {
        const struct weir_upkeep_step *step = &weir_upkeep_steps[i];
        struct weir_error error = {0};
        json_t *outcome = NULL;
        if (only ? strcmp(only, step->name) != 0 : !step->has_rule(&options->table->lifecycle))
            continue;
        weir_status status = run_step(options, step, &outcome, &error);
        if (status == WEIR_TIMEOUT && options->until_ms) {
            outcome = interrupted(options, step->name);
            status = WEIR_OK;
        }
        json_array_append_new(outcomes,
                              outcome ? outcome : failed(options, step->name, status, &error));
        if (status == WEIR_OK)
            continue;
        worst = status;
        if (reterr)
            *reterr = error;
        if (status == WEIR_STOPPED || status == WEIR_INTERRUPTED)
            break;
    }
    return worst;
}

weir_status weir_upkeep_table(const struct weir_upkeep_options *options, const char *only,
                              json_t *outcomes, struct weir_error *reterr)
{
    char name[WEIR_NAME_SIZE_MAX + 64], holder[256];
    struct weir_lease *lease = NULL;
    if (!only && !weir_upkeep_has_rule(options->table))
        return WEIR_OK;
    snprintf(name, sizeof name, "%s.upkeep", options->table->name);
    if (!options->dry_run) {
        WEIR_TRY(weir_lease_take(options->lake, name, &lease, holder, reterr));
        if (!lease) {
            json_array_append_new(outcomes,
                                  json_pack("{s:s, s:s, s:s}", "table", options->table->name,
                                            "action", only ? only : "upkeep", "held_by", holder));
            return WEIR_OK;
        }
    }
    weir_status status = do_steps(options, only, outcomes, reterr);
    weir_lease_give_back(lease);
    return status;
}
