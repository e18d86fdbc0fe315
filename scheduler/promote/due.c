/* Is a promotion due, and why: what its sources have gained since, against the rule of the pipeline
 * file. Told from metadata alone: counts and times of the snapshots in between. */
#include "scheduler/promote/promote_int.h"

#include "engine/base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int64_t count_of(const struct weir_snapshot *snapshot, const char *key)
{
    const char *text = json_string_value(json_object_get(snapshot->summary, key));
    int64_t value;
    return text && weir_text_int64(text, strlen(text), &value) ? value : 0;
}

static bool changes_rows(const struct weir_snapshot *snapshot)
{
    return count_of(snapshot, "added-records") || count_of(snapshot, "deleted-records") ||
           count_of(snapshot, "added-delete-files");
}

/* Files without a word of their rows, which a writer may leave out. */
static bool is_silent(const struct weir_snapshot *snapshot)
{
    return !changes_rows(snapshot) &&
           (count_of(snapshot, "added-data-files") || count_of(snapshot, "deleted-data-files"));
}

void due_gained(const struct weir_metadata *metadata, int64_t from, int64_t to,
                struct gained *gained)
{
    struct weir_snapshot snapshot;
    int64_t id = to;
    while (id != from && weir_metadata_snapshot(metadata, id, &snapshot)) {
        bool rewrites = strcmp(snapshot.operation, "replace") == 0; /* how they lie, no more */
        gained->cut |= !rewrites && is_silent(&snapshot);
        if (!rewrites && changes_rows(&snapshot)) {
            gained->rows += count_of(&snapshot, "added-records");
            gained->any = true;
            if (!gained->oldest_ms || snapshot.timestamp_ms < gained->oldest_ms)
                gained->oldest_ms = snapshot.timestamp_ms;
        }
        id = snapshot.parent_id;
        if (id < 0) /* its first one; a table that was never read has all of it to give */
            break;
    }
    gained->cut |= id != from && from != 0;
}

/* When the table was last promoted: the nearest snapshot that a promotion made. 0: none is left. */
int64_t due_promoted_ms(const struct weir_metadata *metadata, int64_t head)
{
    struct weir_snapshot snapshot;
    for (int64_t id = head; id >= 0 && weir_metadata_snapshot(metadata, id, &snapshot);
         id = snapshot.parent_id) {
        const char *kind = json_string_value(json_object_get(snapshot.summary, "weir.kind"));
        if (kind && strcmp(kind, "promote") == 0)
            return snapshot.timestamp_ms;
    }
    return 0;
}

/* 100000 as 100,000 */
static void print_count(int64_t count, char *ret_text, size_t size)
{
    char digits[32];
    int length = snprintf(digits, sizeof digits, "%" PRId64, count);
    size_t used = 0;
    for (int i = 0; i < length && used + 2 < size; i++) {
        if (i && (length - i) % 3 == 0)
            ret_text[used++] = ',';
        ret_text[used++] = digits[i];
    }
    ret_text[used] = 0;
}

static void print_age(int64_t ms, char *ret_text, size_t size)
{
    static const struct {
        int64_t ms;
        const char *name;
    } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "min"}, {1000, "s"}};
    for (size_t i = 0; i < 4; i++)
        if (ms >= 2 * units[i].ms || (ms >= units[i].ms && ms % units[i].ms == 0) || i == 3) {
            snprintf(ret_text, size, "%" PRId64 " %s", ms / units[i].ms, units[i].name);
            return;
        }
}

bool due_by_rule(const struct weir_promote_rule *rule, const struct gained *gained, int64_t now_ms,
                 char *ret_why, size_t size)
{
    char rows[32], rows_wanted[32], age[32], age_wanted[32];
    int64_t age_ms = gained->any && now_ms > gained->oldest_ms ? now_ms - gained->oldest_ms : 0;
    bool due = (rule->rows && gained->rows >= rule->rows) ||
               (rule->age_ms >= 0 && gained->any && age_ms >= rule->age_ms);
    if (gained->cut) { /* what was in between has been expired: how much it was cannot be told */
        snprintf(ret_why, size, "a source has moved on, by more than its snapshots tell");
        return true;
    }
    print_count(gained->rows, rows, sizeof rows);
    print_count(rule->rows, rows_wanted, sizeof rows_wanted);
    print_age(age_ms, age, sizeof age);
    print_age(rule->age_ms, age_wanted, sizeof age_wanted);
    const char *lead = due ? "" : "not due: ";
    if (rule->rows && rule->age_ms >= 0)
        snprintf(ret_why, size, "%s%s of %s rows, %s of %s", lead, rows, rows_wanted, age,
                 age_wanted);
    else if (rule->rows)
        snprintf(ret_why, size, "%s%s of %s rows", lead, rows, rows_wanted);
    else
        snprintf(ret_why, size, "%s%s of %s", lead, age, age_wanted);
    return due;
}

bool due_by_cron(const struct weir_promote_rule *rule, int64_t promoted_ms, int64_t now_ms,
                 char *ret_why, size_t size)
{
    int64_t tick = 0, year;
    unsigned month, day;
    bool due = weir_cron_last(&rule->cron, now_ms, &tick) && tick > promoted_ms;
    weir_days_to_civil(tick / 86400000, &year, &month, &day);
    snprintf(ret_why, size, "%s\"%.100s\" was last at %04" PRId64 "-%02u-%02u %02d:%02d UTC%s",
             due ? "" : "not due: ", rule->cron_text, year, month, day, (int)(tick / 3600000 % 24),
             (int)(tick / 60000 % 60), due ? "" : ", and it has been promoted since");
    return due;
}

/* Changes of a source that does not drive wait for one that does, or for a person. */
static bool has_changed(const struct promotion *promotion)
{
    bool changed = promotion->first;
    for (size_t i = 0; i < promotion->source_count; i++)
        changed |= promotion->sources[i].changed &&
                   (promotion->sources[i].drives || promotion->options->by_hand);
    return changed;
}

/* What the rule says; *ret_why "": it has nothing to add. */
static bool ask_rule(const struct promotion *promotion, char *ret_why, size_t size)
{
    const struct weir_promote_rule *rule = &promotion->model->promote;
    int64_t now_ms = weir_now_ms(promotion->lake->context), promoted_ms = 0;
    struct gained gained = {0};
    *ret_why = 0;
    if (promotion->options->by_hand || promotion->options->rebuild ||
        rule->when == WEIR_WHEN_ADVANCED)
        return true;
    if (rule->when == WEIR_WHEN_MANUAL) {
        snprintf(ret_why, size, "not due: promote: manual; weir promote %s does it",
                 promotion->model->table.name);
        return false;
    }
    if (rule->when == WEIR_WHEN_CRON) {
        if (promotion->table)
            promoted_ms = due_promoted_ms(promotion->table->metadata, promotion->head);
        return due_by_cron(rule, promoted_ms, now_ms, ret_why, size);
    }
    for (size_t i = 0; i < promotion->source_count; i++)
        if (promotion->sources[i].drives)
            due_gained(promotion->sources[i].table->metadata, promotion->sources[i].from,
                       promotion->sources[i].to, &gained);
    return due_by_rule(rule, &gained, now_ms, ret_why, size);
}

/* reprocess: all */
static void ask_all(struct promotion *promotion)
{
    for (size_t i = 0; i < promotion->source_count; i++)
        if (promotion->model->reprocess == WEIR_REPROCESS_ALL && promotion->sources[i].changed &&
            !promotion->sources[i].drives && !promotion->first) {
            promotion->first = true;
            promotion->why = "a source that does not drive it has changed (reprocess: all)";
        }
}

weir_status promotion_due(struct promotion *promotion, bool *ret_due, struct weir_error *reterr)
{
    char why[300], *copy;
    *ret_due = false;
    if (!has_changed(promotion))
        return WEIR_OK;
    if (!promotion->first)
        promotion->why = "a source has moved on";
    *ret_due = ask_rule(promotion, why, sizeof why);
    if (*why) {
        WEIR_TRY(weir_arena_copy(&promotion->arena, why, strlen(why), &copy, reterr));
        promotion->why = copy;
    }
    if (*ret_due)
        ask_all(promotion);
    return WEIR_OK;
}
