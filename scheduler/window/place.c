/* Is the lake where the pipeline file and the policies in force want it? Asked before the first
 * write; nothing here writes. What the file alone tells was checked when it was read. */
#include "scheduler/pipeline/places.h"
#include "scheduler/window/window.h"

#include "connectors/s3/s3.h"

#include <stdio.h>
#include <string.h>

/* The first policy in force with regions that the region is not among; NULL: it may be used. */
static const struct weir_policy_config *refuses(const struct weir_pipeline *pipeline,
                                                const char *region)
{
    for (size_t i = 0; i < pipeline->policy_count; i++) {
        const struct weir_policy_config *policy = &pipeline->policies[i];
        bool allowed = !policy->applies || !policy->has_regions;
        for (size_t k = 0; !allowed && k < policy->region_count; k++)
            allowed = strcmp(policy->regions[k], region) == 0;
        if (!allowed)
            return policy;
    }
    return NULL;
}

/* A catalog's configuration may lead to another host than the file names: that one is held against
 * the policies too. */
static weir_status check_catalog(const struct weir_pipeline *pipeline,
                                 const struct weir_catalog *catalog, struct weir_error *reterr)
{
    const char *uri;
    char region[WEIR_REGION_SIZE];
    const struct weir_policy_config *policy = refuses(pipeline, "");
    if (!policy) /* any region is good */
        return WEIR_OK;
    WEIR_TRY(weir_catalog_rest_address(catalog, &uri, reterr));
    size_t shown = strcspn(uri, "?#"), given = strlen(pipeline->rest.uri);
    while (given && pipeline->rest.uri[given - 1] == '/')
        given--;
    if (given == strlen(uri) && strncmp(uri, pipeline->rest.uri, given) == 0)
        return WEIR_OK;
    enum weir_place place = weir_place_of(uri, strlen(uri), region);
    policy = place == WEIR_PLACE_REGION ? refuses(pipeline, region) : policy;
    if (place == WEIR_PLACE_HERE || !policy)
        return WEIR_OK;
    weir_status status = weir_fail(
        reterr, WEIR_REFUSED, "catalog %s leads to %.*s, %s%s, and policy %s does not allow that",
        pipeline->rest.uri, (int)(shown < 300 ? shown : 300), uri,
        place == WEIR_PLACE_REGION ? "in " : "whose name tells no region", region, policy->name);
    weir_error_hint(reterr, "if it is where the data may go, name it: lake.catalog.rest.uri, and "
                            "lake.catalog.rest.region");
    return status;
}

static void owner_words(const struct weir_pipeline *pipeline, const struct weir_object_store *store,
                        char *words, size_t size)
{
    const char *account = pipeline->s3.account;
    if (!account)
        snprintf(words, size, "no owner is wanted (lake.s3.account)");
    else if (weir_s3_heeds_owner(store))
        snprintf(words, size, "it belongs to account %s", account);
    else
        snprintf(words, size, "this store looks at no owners: account %s is not checked", account);
}

static void store_words(const struct weir_pipeline *pipeline, const struct weir_object_store *store,
                        const char *found, char *ret_words, size_t size)
{
    char owner[120];
    owner_words(pipeline, store, owner, sizeof owner);
    if (*found)
        snprintf(ret_words, size, "the bucket says it lies in %s%s; %s", found,
                 pipeline->region ? ", as lake.region does" : "", owner);
    else
        snprintf(ret_words, size, "the store names no region: %s%s; %s",
                 pipeline->region ? "taken to lie in lake.region, " : "lake.region is not set",
                 pipeline->region ? pipeline->region : "", owner);
}

weir_status weir_lake_check_place(const struct weir_pipeline *pipeline,
                                  const struct weir_object_store *store,
                                  const struct weir_catalog *catalog, char *ret_words, size_t size,
                                  struct weir_error *reterr)
{
    char found[64] = "";
    bool remote = strcmp(store->operations->kind, "s3") == 0;
    const struct weir_policy_config *policy = refuses(pipeline,
                                                      pipeline->region ? pipeline->region : "");
    if (policy)
        return weir_fail(reterr, WEIR_REFUSED,
                         "lake.region: %s is not among the regions of policy "
                         "%s",
                         pipeline->region ? pipeline->region : "none", policy->name);
    if (remote)
        WEIR_TRY(weir_s3_check_place(store, pipeline->region, pipeline->s3.account, found, reterr));
    if (pipeline->catalog == WEIR_CATALOG_REST && catalog->operations)
        WEIR_TRY(check_catalog(pipeline, catalog, reterr));
    if (ret_words && remote)
        store_words(pipeline, store, found, ret_words, size);
    else if (ret_words)
        snprintf(ret_words, size, "a folder of this machine");
    return WEIR_OK;
}
