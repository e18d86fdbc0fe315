/* Where a host lies, as far as its name tells. */
#ifndef WEIR_SCHEDULER_PIPELINE_PLACES_H
#define WEIR_SCHEDULER_PIPELINE_PLACES_H

#include <stdbool.h>
#include <stddef.h>

#define WEIR_REGION_SIZE 64 /* with its NUL */

enum weir_place {
    WEIR_PLACE_UNKNOWN, /* the name does not tell */
    WEIR_PLACE_HERE,    /* this machine: localhost, 127.0.0.0/8, ::1 */
    WEIR_PLACE_REGION,  /* a host of AWS, with its region in the name */
};

/* Of "host", "host:port", "scheme://[user@]host[:port][/...]": the region in names such as
 * s3.eu-west-2.amazonaws.com, b-1.x.kafka.eu-west-2.amazonaws.com, x.execute-api.eu-west-2.api.aws.
 * The region is the last of the name's parts that looks like one, since those before it are the
 * user's own. ret_region is "" but for REGION. */
enum weir_place weir_place_of(const char *address, size_t size, char ret_region[WEIR_REGION_SIZE]);

/* "arn:aws:kms:eu-west-2:111122223333:key/..." -> region and account, "" where they are empty;
 * false: it is no ARN of that service. */
bool weir_place_of_arn(const char *arn, const char *service, char ret_region[WEIR_REGION_SIZE],
                       char ret_account[16]);

#endif
