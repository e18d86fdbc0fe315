/* Pins: what a promotion reads of its sources is tagged `weir-at-{consumer}-{run}` there before it
 * is read, so that no expiry, ours or foreign, takes it while it is still needed: as `to` of this
 * promotion, and as `from` of the next. protocol.md 6.
 *
 * Which tags may go. After the commit: those of this consumer that were there when the source was
 * loaded, but for the one that was used. Another promotion of the same table whose tag was there by
 * then had loaded the table before that, and lands on that head only: it loses the race for the
 * commit and tags anew. A tag made later is not touched. After a candidate was dropped: the tag of
 * the run that made it, unless it is at what the table has reached. So tags that a killed run left
 * go with the next commit. */
#include "scheduler/promote/promote_int.h"

#include <stdio.h>
#include <string.h>

#define PIN_PREFIX "weir-at-"
#define RUN_SIZE   36 /* a uuid */

/* Room for the longest name: that of the model, which is in a path too. */
#define PIN_SIZE 512

static void pin_name(const struct promotion *promotion, char *ret_name, const char *run)
{
    snprintf(ret_name, PIN_SIZE, PIN_PREFIX "%.400s-%.80s", promotion->model->table.name, run);
}

/* Tags of this consumer on a source: the model's name, and a run's behind it. A consumer whose name
 * starts with ours has more behind. */
static bool is_ours(const struct promotion *promotion, const char *ref)
{
    char prefix[PIN_SIZE];
    pin_name(promotion, prefix, "");
    size_t size = strlen(prefix);
    return strncmp(ref, prefix, size) == 0 && strlen(ref) == size + RUN_SIZE;
}

static json_t *refs_of(const struct source *source)
{
    return json_object_get(weir_metadata_document(source->table->metadata), "refs");
}

weir_status pins_seen(struct promotion *promotion, struct source *source, struct weir_error *reterr)
{
    const char *name;
    json_t *ref;
    size_t count = 0;
    char *copy;
    json_object_foreach(refs_of(source), name, ref) count += is_ours(promotion, name);
    WEIR_TRY(
        weir_arena_zero(&promotion->arena, count + 1, sizeof *source->pins, &source->pins, reterr));
    json_object_foreach(refs_of(source), name, ref)
    {
        if (!is_ours(promotion, name))
            continue;
        WEIR_TRY(weir_arena_copy(&promotion->arena, name, strlen(name), &copy, reterr));
        source->pins[source->pin_count++] = copy;
    }
    return WEIR_OK;
}

/* The one of the time before, at what has been reached. Only where the source has not moved on: at
 * any other snapshot a tag may be another run's, and go with it. */
static const char *kept_pin(const struct source *source)
{
    int64_t at;
    for (size_t i = 0; source->from == source->to && i < source->pin_count; i++)
        if (weir_metadata_ref(source->table->metadata, source->pins[i], &at) && at == source->to)
            return source->pins[i];
    return NULL;
}

weir_status pins_set(struct promotion *promotion, bool *ret_moved, struct weir_error *reterr)
{
    char name[PIN_SIZE], *copy;
    bool moved = false;
    pin_name(promotion, name, promotion->lake->run_id);
    for (size_t i = 0; !moved && i < promotion->source_count; i++) {
        struct source *source = &promotion->sources[i];
        if (!source->table)
            continue;
        source->pin = kept_pin(source);
        if (source->pin)
            continue;
        WEIR_TRY(weir_tag_head(promotion->lake, &source->table, name, source->to, &moved, reterr));
        WEIR_TRY(weir_arena_copy(&promotion->arena, name, strlen(name), &copy, reterr));
        source->pin = copy;
    }
    *ret_moved = moved;
    return WEIR_OK;
}

weir_status pins_drop(struct promotion *promotion, struct weir_error *reterr)
{
    for (size_t i = 0; i < promotion->source_count; i++) {
        struct source *source = &promotion->sources[i];
        for (size_t k = 0; source->pin && k < source->pin_count; k++)
            if (strcmp(source->pins[k], source->pin) != 0)
                WEIR_TRY(weir_drop_ref(promotion->lake, &source->table, source->pins[k], reterr));
    }
    return WEIR_OK;
}

weir_status pins_drop_run(struct promotion *promotion, const char *run, struct weir_error *reterr)
{
    char name[PIN_SIZE];
    int64_t at;
    pin_name(promotion, name, run);
    for (size_t i = 0; i < promotion->source_count; i++) {
        struct source *source = &promotion->sources[i];
        if (!source->table || (source->pin && strcmp(source->pin, name) == 0) ||
            !weir_metadata_ref(source->table->metadata, name, &at) || at == source->from)
            continue;
        WEIR_TRY(weir_drop_ref(promotion->lake, &source->table, name, reterr));
    }
    return WEIR_OK;
}
