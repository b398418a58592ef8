/* A library that is no delegate. */

int edgetpu_version(void);

int edgetpu_version(void)
{
    return 14;
}
