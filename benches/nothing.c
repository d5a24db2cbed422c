/* A program that does nothing: what remains is its start. */

int main(void)
{
    return 0;
}
