-- Random numbers by hash, and a user as a unit of each type.

-- uniform in (0,1), and standard normal (Box and Muller 1958), by hash
CREATE FUNCTION bench_uniform(purpose int, a bigint) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (((hashint8extended(a, purpose) >> 11) & 9007199254740991) + 0.5) / 9007199254740992;
CREATE FUNCTION bench_normal(purpose int, a bigint) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN sqrt(-2 * ln(bench_uniform(purpose, a))) * cos(2 * pi() * bench_uniform(purpose + 1, a));
-- a user as a unit of each type
CREATE FUNCTION bench_unit(who bigint, type bigint) RETURNS bigint LANGUAGE sql IMMUTABLE RETURN who;
CREATE FUNCTION bench_unit(who bigint, type text) RETURNS text LANGUAGE sql IMMUTABLE RETURN 'user-' || who;
CREATE FUNCTION bench_unit(who bigint, type uuid) RETURNS uuid LANGUAGE sql IMMUTABLE
    RETURN md5(who::text)::uuid;
