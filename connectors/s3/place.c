/* Is the bucket where policy wants it? Asked once, before the first write. */
#include "connectors/s3/s3_int.h"
#include "connectors/s3/xml_int.h"

#include <stdio.h>
#include <string.h>

/* Older servers do not name the region in a header; they may know GetBucketLocation. "" =
 * us-east-1, says S3. */
static void location_ask(struct s3_store *store, char ret_region[64])
{
    WEIR_AUTO(weir_buffer) answer = {.account = &store->account};
    struct s3_call call = {.method = "GET", .out = &answer, .is_once = true};
    char text[64] = "";
    s3_query(&call, "location", "");
    if (s3_run(store, &call, NULL) == WEIR_OK &&
        xml_find((char *)answer.data, answer.size, NULL, "LocationConstraint", text, sizeof text))
        snprintf(ret_region, 64, "%s",
                 strcmp(text, "EU") == 0 ? "eu-west-1"
                 : *text                 ? text
                                         : "us-east-1");
    s3_call_done(&call);
}

static weir_status region_check(const struct s3_store *store, const char *wanted, const char *found,
                                struct weir_error *reterr)
{
    if (!*found || strcmp(wanted, found) == 0)
        return WEIR_OK;
    weir_status status = weir_fail(reterr, WEIR_REFUSED,
                                   "bucket %s is in region %s, not in %s as configured",
                                   store->bucket, found, wanted);
    weir_error_hint(reterr, "Name the bucket's region, or use a bucket in %s.", wanted);
    return status;
}

static weir_status place_judge(struct s3_store *store, const struct s3_call *call,
                               weir_status status, const char *region, const char *account,
                               struct weir_error *reterr)
{
    char found[64] = "";
    weir_http_header(&call->response, "x-amz-bucket-region", found, sizeof found);
    if (status == WEIR_OK && !*found)
        location_ask(store, found);
    if (status == WEIR_OK || *found)
        WEIR_TRY(region_check(store, region, found, reterr));
    if (status == WEIR_NOT_FOUND)
        return weir_fail(reterr, WEIR_NOT_FOUND, "there is no bucket %s at %s", store->bucket,
                         store->host);
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
                                const char *account, struct weir_error *reterr)
{
    struct s3_store *s3 = store->self;
    struct s3_call call = {.method = "HEAD"};
    bool other = account && *account && strcmp(account, s3->owner) != 0;
    if (other && *s3->owner)
        return weir_fail(reterr, WEIR_REFUSED, "bucket %s: account %s is configured, %s is wanted",
                         s3->bucket, s3->owner, account);
    if (other)
        s3_header(&call, "x-amz-expected-bucket-owner", account);
    weir_status status = s3_run(s3, &call, reterr);
    status = place_judge(s3, &call, status, region && *region ? region : s3->region,
                         other ? account : s3->owner, reterr);
    s3_call_done(&call);
    return status;
}
