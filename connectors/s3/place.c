/* Is the bucket where policy wants it? Asked once, before the first write. */
#include "connectors/s3/s3_int.h"
#include "connectors/s3/xml_int.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* A host of AWS names the region of each bucket; what is silent there is not AWS. */
static bool is_aws(const struct s3_store *store)
{
    static const char *const domains[] = {".amazonaws.com", ".amazonaws.com.cn", ".api.aws"};
    size_t size = strcspn(store->host, ":");
    for (size_t i = 0; i < sizeof domains / sizeof *domains; i++) {
        size_t tail = strlen(domains[i]);
        if (size > tail && strncasecmp(store->host + size - tail, domains[i], tail) == 0)
            return true;
    }
    return false;
}

/* Older servers do not name the region in a header; they may know GetBucketLocation. An empty one
 * is us-east-1 at AWS; elsewhere it is what servers say that know no regions. */
static weir_status location_ask(struct s3_store *store, char ret_region[64],
                                struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer) answer = {.account = &store->account};
    struct s3_call call = {.method = "GET", .out = &answer, .is_once = true};
    char text[64] = "";
    s3_query(&call, "location", "");
    weir_status status = s3_run(store, &call, reterr);
    if (status == WEIR_OK &&
        xml_find((char *)answer.data, answer.size, NULL, "LocationConstraint", text, sizeof text))
        snprintf(ret_region, 64, "%s",
                 strcmp(text, "EU") == 0   ? "eu-west-1"
                 : !*text && is_aws(store) ? "us-east-1"
                                           : text);
    s3_call_done(&call);
    return status;
}

static weir_status region_check(const struct s3_store *store, const char *wanted, const char *found,
                                struct weir_error *reterr)
{
    weir_status status;
    if (strcasecmp(wanted, found) == 0 || (!*found && !is_aws(store)))
        return WEIR_OK;
    if (!*found)
        status = weir_fail(reterr, WEIR_REFUSED, "%s does not say in which region bucket %s lies",
                           store->host, store->bucket);
    else
        status = weir_fail(reterr, WEIR_REFUSED,
                           "bucket %s is in region %s, not in %s as configured", store->bucket,
                           found, wanted);
    weir_error_hint(reterr, "Name the bucket's region, or use a bucket in %s.", wanted);
    return status;
}

static weir_status place_judge(struct s3_store *store, const struct s3_call *call,
                               weir_status status, const char *region, const char *account,
                               char found[64], struct weir_error *reterr)
{
    weir_http_header(&call->response, "x-amz-bucket-region", found, 64);
    if (status == WEIR_OK && !*found && location_ask(store, found, NULL) != WEIR_OK)
        *found = '\0'; /* not known, or not allowed */
    if (status == WEIR_OK || *found)
        WEIR_TRY(region_check(store, region, found, reterr));
    if (status == WEIR_NOT_FOUND)
        return weir_fail(reterr, WEIR_NOT_FOUND, "there is no bucket %s at %s", store->bucket,
                         store->host);
    if (call->response.code == 400) /* signed for another region? HEAD's answer has no words */
        return location_ask(store, found, reterr) == WEIR_REFUSED ? WEIR_REFUSED : status;
    if (status == WEIR_UNSUPPORTED && *account) {
        status = weir_fail(reterr, WEIR_REFUSED,
                           "%s does not know owners of buckets: that bucket %s belongs to account "
                           "%s cannot be checked",
                           store->host, store->bucket, account);
        weir_error_hint(reterr, "leave lake.s3.account out with this store");
    }
    if (status == WEIR_DENIED && *account) {
        status = weir_fail(reterr, WEIR_REFUSED,
                           "bucket %s does not belong to account %s, or it lets us not look",
                           store->bucket, account);
        weir_error_hint(reterr, "Check the account in the pipeline file, then the credentials and "
                                "the bucket policy (s3:ListBucket).");
    }
    return status;
}

weir_status weir_s3_check_place(const struct weir_object_store *store, const char *region,
                                const char *account, char ret_region[64], struct weir_error *reterr)
{
    struct s3_store *s3 = store->self;
    struct s3_call call = {.method = "HEAD"};
    bool other = account && *account && strcmp(account, s3->owner) != 0;
    char found[64] = "";
    if (other && *s3->owner)
        return weir_fail(reterr, WEIR_REFUSED, "bucket %s: account %s is configured, %s is wanted",
                         s3->bucket, s3->owner, account);
    if (other)
        s3_header(&call, "x-amz-expected-bucket-owner", account);
    weir_status status = s3_run(s3, &call, reterr);
    status = place_judge(s3, &call, status, region && *region ? region : s3->region,
                         other ? account : s3->owner, found, reterr);
    s3_call_done(&call);
    if (status == WEIR_OK && ret_region)
        memcpy(ret_region, found, sizeof found);
    return status;
}

bool weir_s3_heeds_owner(const struct weir_object_store *store)
{
    struct s3_store *s3 = store->self;
    char owner[sizeof s3->owner];
    struct s3_call call = {.method = "HEAD", .is_once = true};
    memcpy(owner, s3->owner, sizeof owner);
    /* no account has either number */
    snprintf(s3->owner, sizeof s3->owner, "%s",
             strcmp(owner, "000000000000") == 0 ? "000000000001" : "000000000000");
    weir_status status = s3_run(s3, &call, NULL);
    memcpy(s3->owner, owner, sizeof owner);
    s3_call_done(&call);
    return status == WEIR_DENIED;
}
