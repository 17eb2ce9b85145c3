-- What all_types.sql leaves out, for the same table: JSON of every inner type and size, signed zeros, odd numbers.
insert into src(id,d,f,d2010,f103) values(700,-0e0,-0e0,-0e0,-0e0);
insert into src(id,d,f,d2010,f103) select 2000+n, (rand(n)-0.5)*pow(10,rand(n+1000)*600-300), (rand(n+2000)-0.5)*pow(10,rand(n+3000)*70-35), (rand(n+4000)-0.5)*pow(10,rand(n+5000)*10), (rand(n+6000)-0.5)*pow(10,rand(n+7000)*7) from (with recursive s(n) as (select 1 union all select n+1 from s where n<200) select n from s) s;
insert into src(id,j) select 710, json_arrayagg(json_object('d',d,'f',f,'m',d2010)) from src where id between 2001 and 2200;
-- Tags that only columns give; the empty value of each.
insert into src(id,j) select 711, json_object('bl',bl,'tb',tb,'mb',mb,'lb',lb,'vb',v_bin,'cb',c_bin,'b1',b1,'b10',b10,'b64',b64,'y',y,'ts',ts6,'ts0',ts0,'dt',dt,'dtm',dtm6,'tm',tm6,'vc',v_binchar,'dec',dec6530,'decu',decu,'dec5',dec55) from src where id=1;
insert into src(id,j) select 712, json_array(bl,tb,mb,lb,v_bin,c_bin,b64,ts0,ts6,dt,dtm0,dtm4,dtm5,tm3,dec65,dec55,decu) from src where id=-9223372036854775808;
insert into src(id,j) select 713, json_array(bl,tb,mb,v_bin,c_bin,b64,ts0,ts6,dt,dtm6,tm6,dec6530,dec65,dec55) from src where id=9223372036854775807;
insert into src(id,j) select 720, json_extract(json_arrayagg(tb),'$[0]') from src where id=1;
insert into src(id,j) select 721, json_extract(json_arrayagg(lb),'$[0]') from src where id=1;
insert into src(id,j) select 722, json_extract(json_arrayagg(ts6),'$[0]') from src where id=1;
insert into src(id,j) select 723, json_extract(json_arrayagg(b10),'$[0]') from src where id=1;
insert into src(id,j) select 724, json_extract(json_arrayagg(c_bin),'$[0]') from src where id=1;
-- Strings the server takes over unconverted from wide character sets.
insert into src(id,j) select 725, json_array(c_u16,v_u16,v_u16le,v_u32,v_ucs2,tx_u16) from src where id=1;
insert into src(id,j) select 726, json_array(v_l1,v_gbk,v_sjis,v_cp1251,v_gb18030,v_ascii,v_u83,e,s,e_u16) from src where id=1;
-- Numbers at the borders of the stored sizes, signed and unsigned.
insert into src(id,j) values(730, json_array(0,-1,32767,-32768,32768,-32769,65535,65536,2147483647,-2147483648,2147483648,-2147483649,4294967295,9223372036854775807,-9223372036854775808));
insert into src(id,j) values(731, json_array(cast(0 as unsigned),cast(65535 as unsigned),cast(65536 as unsigned),cast(4294967295 as unsigned),cast(4294967296 as unsigned),18446744073709551615));
insert into src(id,j) values(732, '[0, -1, 65536, 4294967295, 4294967296, 9223372036854775807, 9223372036854775808, 1e3, 0.1, 123456789.123456789]');
insert into src(id,j) values(733, '{"": {}, "a": [], "b": {"c": [[], {}, [null, true, false, ""]]}, "long key 0123456789": "\\u0000\\n\\"\\\\/é😀"}');
-- Containers of more than 64 KiB take wider offsets, and keep small numbers inline.
insert into src(id,j) select 740, json_arrayagg(json_object('n',n,'s',repeat('x',n mod 50),'big',n*100000)) from (with recursive s(n) as (select 1 union all select n+1 from s where n<900) select n from s) s;
insert into src(id,j) select 741, json_objectagg(concat('key ',n),if(n mod 2,n*70000,cast(n as unsigned))) from (with recursive s(n) as (select 1 union all select n+1 from s where n<900) select n from s) s;
insert into src(id,j) values(742, json_array(repeat('y',70000),json_array(1,2,3),json_object('k',repeat('z',200))));
insert into src(id,j) values(743, concat(repeat('[',99),'1',repeat(']',99)));
insert into src(id,j) values(744, concat(repeat('{"a":',99),'1.5',repeat('}',99)));
insert into src(id,j) values(745, json_array(0.0,-0.5,1.,123456789012345678901234567890,cast('-99999.99999' as decimal(10,5)),cast(0 as decimal(65,30)),cast('-0.1' as decimal(1,1)),cast('7.10' as decimal(20,10)),cast('1e-30' as decimal(65,30))));
insert into src(id,e,e_l1,s,s64,num_enum) values(750,0,0,'','','x'),(751,5,2,7,18446744073709551615,4);
-- Decimals of every origin: a JSON document keeps the precision each came with.
insert into src(id,j) values(746, json_array(1.10,0.5,.5,-.5,5.,0.,.00,12345678901234567890123456789012345.100000000000000000000000000001,12345678901234567890123456789012345678901234567890123456789012345.,cast('12345678901234567890123456789012345' as decimal(65,30)),cast(0 as decimal(65,30)),cast(12 as decimal(65,0)),cast(123456789 as decimal(9,0)),cast(1234567890 as decimal(10,0)),cast(1.5 as decimal(65,30)),10/3,1.5*2.25,0.1*0.1,7 div 2.0,10.0 mod 3,-(-1.5),abs(-1.5),greatest(1.5,20.25),round(12.345,1),truncate(1234567890.987,2)));
insert into src(id,j) select 747, json_array(sum(n),avg(n),sum(n)/3,max(n)*1.5,sum(n)*1000000000,min(n)/1000) from (select 1.50 n union select 20.25) s;
insert into src(id,dec6530,decu,dec55) select 3000+n, (rand(n)-0.5)*pow(10,rand(n+1)*34), rand(n+2)*pow(10,rand(n+3)*8), rand(n+4)-0.5 from (with recursive s(n) as (select 1 union all select n+1 from s where n<100) select n from s) s;
insert into src(id,j) select id+1000, json_array(dec6530,decu,dec55,dec6530*1.5,decu/7,cast(decu as decimal(20,5)),cast(dec55 as decimal(5,1)),dec6530+decu,round(decu,1)) from src where id between 3001 and 3100;
