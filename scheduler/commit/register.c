/* A second catalog that knows a table: it is given the place of the current metadata document, and
 * again after later commits. It never decides anything; the first one does. */
#include "connectors/catalog/catalog.h"
#include "scheduler/commit/land.h"

#include <string.h>

#define TRIES_MAX 5 /* answers lost, and asked for again */

/* May what `second` knows be replaced by `table`? Only by what came of it. */
static weir_status check_lineage(const struct weir_table *table, const struct weir_table *known,
                                 struct weir_error *reterr)
{
    int64_t ours, theirs;
    if (strcmp(weir_metadata_uuid(table->metadata), weir_metadata_uuid(known->metadata)) != 0)
        return weir_fail(
            reterr, WEIR_DECISION, "the second catalog knows another table as %s (uuid %s, not %s)",
            table->name, weir_metadata_uuid(known->metadata), weir_metadata_uuid(table->metadata));
    if (!weir_metadata_ref(known->metadata, "main", &theirs))
        return WEIR_OK; /* nothing was ever in it */
    if (weir_metadata_ref(table->metadata, "main", &ours) &&
        weir_metadata_is_ancestor(table->metadata, theirs, ours))
        return WEIR_OK;
    return weir_fail(reterr, WEIR_DECISION,
                     "%s has snapshot %lld in the second catalog, which is none of its own: "
                     "somebody commits there, or the history before it has expired",
                     table->name, (long long)theirs);
}

static weir_status look(const struct weir_table *table, const struct weir_catalog *second,
                        bool *ret_known, bool *ret_same, struct weir_error *reterr)
{
    struct weir_table *known;
    weir_status status = second->operations->load(second->self, table->name, &known, reterr);
    *ret_known = *ret_same = false;
    if (status == WEIR_NOT_FOUND)
        return WEIR_OK;
    WEIR_TRY(status);
    *ret_known = true;
    *ret_same = strcmp(known->metadata_location, table->metadata_location) == 0;
    status = check_lineage(table, known, reterr);
    weir_table_free(known);
    return status;
}

static weir_status not_moved(const struct weir_table *table, struct weir_error *reterr)
{
    weir_error_prefix(reterr, "the second catalog does not move %s on", table->name);
    weir_error_hint(reterr, "some servers know no `overwrite`: drop the table there, without "
                            "purging its files, and register it again");
    if (reterr)
        reterr->status = WEIR_DECISION;
    return WEIR_DECISION;
}

weir_status weir_register(const struct weir_table *table, const struct weir_catalog *second,
                          enum weir_registration *ret_registration, struct weir_error *reterr)
{
    bool known, same;
    enum weir_registration done = WEIR_REGISTERED_ALREADY;
    for (int i = 0; i < TRIES_MAX; i++) {
        WEIR_TRY(look(table, second, &known, &same, reterr));
        if (same) {
            *ret_registration = done;
            return WEIR_OK;
        }
        weir_status status = weir_catalog_rest_register(second, table->name,
                                                        table->metadata_location, known, reterr);
        if (known && (status == WEIR_EXISTS || status == WEIR_FAILED))
            return not_moved(table, reterr);
        if (status != WEIR_OK && status != WEIR_EXISTS && status != WEIR_UNKNOWN_OUTCOME &&
            status != WEIR_UNAVAILABLE)
            return status;
        done = known ? WEIR_REGISTERED_ANEW : WEIR_REGISTERED;
    }
    return weir_fail(reterr, WEIR_UNAVAILABLE,
                     "%s: the second catalog took it %d times and knows another state of it",
                     table->name, TRIES_MAX);
}
