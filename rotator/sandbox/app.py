import asyncio, base64, copy, datetime as dt, json, os, random, re, secrets, signal, ssl, sys, uuid
from pathlib import Path
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwt, jwk
import ipaddress
def now(): return dt.datetime.now(dt.UTC)
def stamp(): return now().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]+"Z"
def mk(cn, issuer=None, ikey=None, sans=(), ca=False):
    key=rsa.generate_private_key(65537,2048)
    name=x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME,cn)])
    b=x509.CertificateBuilder().subject_name(name).issuer_name(issuer.subject if issuer else name).public_key(key.public_key()).serial_number(x509.random_serial_number()).not_valid_before(now()-dt.timedelta(days=1)).not_valid_after(now()+dt.timedelta(days=3650)).add_extension(x509.BasicConstraints(ca=ca,path_length=None),True)
    if sans: b=b.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(s)) if s[0].isdigit() else x509.DNSName(s) for s in sans]),False)
    return b.sign(ikey or key,hashes.SHA256()),key
def pem(c): return c.public_bytes(serialization.Encoding.PEM)
def kpem(k): return k.private_bytes(serialization.Encoding.PEM,serialization.PrivateFormat.PKCS8,serialization.NoEncryption())
DEFAULTS=json.loads(os.environ.get("SBX_DEFAULTS") or "{}")
VP={"customProperties":[],"prefix":"","description":"","loadBalancingServerNodes":[],"authenticationMethod":0,"anonymousAccessMode":0,"windowsAuthenticationEnabledDevicePattern":"Windows","sessionCookieHeaderName":"","additionalResponseHeaders":"","sessionInactivityTimeout":30,"websocketCrossOriginWhiteList":[],"defaultVirtualProxy":False,"tags":[],"jwtAttributeUserId":"","jwtAttributeUserDirectory":"","jwtAudience":"","jwtPublicKeyCertificate":"","jwtAttributeMap":[]}
class S:
    def __init__(s,dir,nodes,delay): 
        s.vps={}; s.dir=dir; s.delay=delay; s.log=[]
        s.nodes=[{"id":str(uuid.uuid4()),"name":h,"hostName":h} for h in (["localhost"]+[f"rim{i}.localhost" for i in range(1,nodes)])]
        s.links={n["id"]:[] for n in s.nodes}; s.active={n["id"]:{} for n in s.nodes}; s.sessions={}; s.ports={}; s.qps={}; s.mod={n["id"]:stamp() for n in s.nodes}; s.down=set()
        e=dict(VP,id=str(uuid.uuid4()),defaultVirtualProxy=True,sessionCookieHeaderName="X-Qlik-Session",modifiedDate=stamp())
        s.vps[e["id"]]=e
        for n in s.nodes: s.links[n["id"]].append(e["id"])
    def changed(s,vid):
        for n in s.nodes:
            if vid in s.links[n["id"]]: s.restart(n["id"])
    def restart(s,nid):
        def apply():
            s.active[nid]={s.vps[v]["prefix"]:copy.deepcopy(s.vps[v]) for v in s.links[nid] if v in s.vps}
            for k in [k for k,v in s.sessions.items() if v["node"]==nid]: del s.sessions[k]
            s.down.discard(nid)
        if s.delay:
            asyncio.get_running_loop().call_later(random.uniform(.1,s.delay),apply)
        else: apply()
    def entity(s,v):
        e=copy.deepcopy(v); e["loadBalancingServerNodes"]=[n for n in s.nodes if n["id"] in [x["id"] for x in v["loadBalancingServerNodes"]]]
        return e
    def proxy(s,n):
        i=n["id"]
        return {"id":i,"modifiedDate":s.mod[i],"serverNodeConfiguration":dict(n,isCentral=n is s.nodes[0]),"settings":{"listenPort":s.ports[i],"restListenPort":s.qps[i],"virtualProxies":[s.entity(s.vps[v]) for v in s.links[i]]}}
def J(x,status=200): return web.json_response(x,status=status)
def T(t,status): return web.Response(text=t,status=status)
def qrs(s):
    async def h(r):
        s.log.append(f"{r.method} {r.path}")
        k=r.query.get("xrfkey"); 
        if not k or len(k)!=16 or r.headers.get("X-Qlik-Xrfkey")!=k: return T("XSRF prevention check failed. Possible XSRF discovered.",403)
        if not r.transport.get_extra_info("peercert"): return T("Forbidden",403)
        p=r.path.split("/")[2:]; m=r.method
        if p==["about"]: return J({"buildVersion":"31.0.0"})
        if p[0]=="servernodeconfiguration": return J(s.nodes)
        if p[0]=="virtualproxyconfig":
            if m=="GET" and p[1:]==["full"]:
                f=r.query.get("filter"); out=list(s.vps.values())
                if f: q=re.fullmatch(r"prefix eq '(.*)'",f)[1]; out=[v for v in out if v["prefix"]==q]
                return J([s.entity(v) for v in out])
            if m=="POST":
                b=await r.json(); e={**VP,**b,"id":str(uuid.uuid4()),"modifiedDate":stamp()}
                if any(v["prefix"]==e["prefix"] for v in s.vps.values()): return T("dup",400)
                s.vps[e["id"]]=e; return J(s.entity(e),201)
            v=s.vps.get(p[1])
            if not v: return T("",404)
            if m=="GET": return J(s.entity(v))
            if m=="PUT":
                b=await r.json()
                if v["modifiedDate"]>b.get("modifiedDate",""): return T("Conflict",409)
                e={**VP,**b,"modifiedDate":stamp()}; s.vps[p[1]]=e; s.changed(p[1]); return J(s.entity(e))
            if m=="DELETE": del s.vps[p[1]]; return web.Response(status=204)
        if p[0]=="proxyservice":
            if p[1:]==["full"]: return J([s.proxy(n) for n in s.nodes])
            n=next(n for n in s.nodes if n["id"]==p[1])
            if m=="GET": return J(s.proxy(n))
            b=await r.json(); s.links[p[1]]=[x["id"] for x in b["settings"]["virtualProxies"]]; s.mod[p[1]]=stamp(); s.restart(p[1]); return J(s.proxy(n))
        return T("",404)
    return h
def qps(s,nid):
    async def h(r):
        p=r.path.strip("/").split("/")[1:-1]; pre=p[0] if p else ""
        return J([{"UserDirectory":x["user"][0],"UserId":x["user"][1],"SessionId":k} for k,x in s.sessions.items() if x["node"]==nid and x["vp"]==pre])
    return h
def prox(s,nid):
    async def h(r):
        s.log.append(f"{r.method} proxy {r.path}")
        parts=r.path.strip("/").split("/",1); pre=parts[0]; rest=parts[1] if len(parts)>1 else ""
        vp=s.active[nid].get(pre)
        if not vp: return web.Response(text="<html>The http request header is incorrect"+"x"*88000,status=400,content_type="text/html")
        ck=vp["sessionCookieHeaderName"]; sid=r.cookies.get(ck); sess=s.sessions.get(sid); new=None
        a=r.headers.get("Authorization","")
        if a:
            try:
                c=x509.load_pem_x509_certificate(vp["jwtPublicKeyCertificate"].encode())
                key=jwk.RSAKey.import_key(c.public_key().public_bytes(serialization.Encoding.PEM,serialization.PublicFormat.SubjectPublicKeyInfo))
                t=jwt.decode(a[7:],key,algorithms=["RS256","RS384","RS512"]); cl=t.claims
                if cl.get("exp",9e12)<now().timestamp(): raise ValueError
                u=(cl[vp["jwtAttributeUserDirectory"]],cl[vp["jwtAttributeUserId"]])
            except Exception: return T("Could not authenticate the request: bad token",401)
            if not sess or sess["user"]!=u:
                sid=str(uuid.uuid4()); sess=s.sessions[sid]={"user":u,"vp":pre,"node":nid}; new=sid
        if not sess: return T("Could not authenticate the request: Expected an authentication header.",401)
        if rest=="qps/csrftoken": resp=web.Response(status=204,headers={"qlik-csrf-token":"t"})
        elif rest=="qps/user" and r.method=="DELETE": s.sessions.pop(sid,None); resp=web.Response(status=204)
        elif rest=="qps/user": resp=J({"userDirectory":sess["user"][0],"userId":sess["user"][1]})
        else: resp=T("",404)
        if new: resp.set_cookie(ck,new,secure=True,httponly=True)
        return resp
    return h
async def listen(handler,port,ctx):
    srv=web.Server(handler); run=web.ServerRunner(srv); await run.setup(); site=web.TCPSite(run,"127.0.0.1",port,ssl_context=ctx); await site.start()
    return site._server.sockets[0].getsockname()[1]
async def main(dir,qp,pp,xp,nodes,delay):
    d=Path(dir); d.mkdir(exist_ok=True,parents=True); d.chmod(0o700)
    s=S(d,nodes,delay)
    root,rk=mk("root",ca=True); cc,ck=mk("client",root,rk); sc,sk=mk("server",root,rk,[n["hostName"] for n in s.nodes]+["127.0.0.1"])
    (d/"root.pem").write_bytes(pem(root)); (d/"client.pem").write_bytes(pem(cc)); (d/"client_key.pem").write_bytes(kpem(ck)); (d/"server.pem").write_bytes(kpem(sk)+pem(sc))
    if not (d/"master.key").exists(): (d/"master.key").write_text(base64.b64encode(os.urandom(32)).decode()); (d/"master.key").chmod(0o600)
    def ctx(client):
        c=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); c.load_cert_chain(d/"server.pem")
        if client: c.load_verify_locations(d/"root.pem"); c.verify_mode=ssl.CERT_OPTIONAL
        return c
    q=await listen(qrs(s),qp,ctx(True))
    for i,n in enumerate(s.nodes):
        s.ports[n["id"]]=await listen(prox(s,n["id"]),xp if i==0 else 0,ctx(False)); s.qps[n["id"]]=await listen(qps(s,n["id"]),pp if i==0 else 0,ctx(True)); s.restart(n["id"])
    (d/"rotator.toml").write_text(f'''[keyring]
backend = "sealed-file"
path = "{d}/keys"
master_key = "file:{d}/master.key"
[state]
path = "{d}/state"
[site.sandbox]
qrs = "https://localhost:{q}"
root_ca = "{d}/root.pem"
auth = "certificate"
[site.sandbox.certificate]
cert = "{d}/client.pem"
key = "{d}/client_key.pem"
user = 'INTERNAL\\sa_api'
[proxy.portal]
site = "sandbox"
prefix = "portal"
description = "Customer portal"
attributes = [{{ claim = "groups", sense = "group", mandatory = false }}]
host_allow_list = ["portal.example.com"]
test_user = 'ROTATOR\\probe'
[proxy.portal.rotation]
every = "30d"
window = ["any"]
settle_timeout = "20s"
''')
    print(json.dumps({"qrs":f"https://localhost:{q}","qps":f"https://localhost:{s.qps[s.nodes[0]['id']]}","proxies":[{"host":n["hostName"],"url":f"https://localhost:{s.ports[n['id']]}"} for n in s.nodes],"dir":str(d),"config":str(d/"rotator.toml")}),flush=True)
    stop=asyncio.Event(); [asyncio.get_running_loop().add_signal_handler(x,stop.set) for x in (signal.SIGTERM,signal.SIGINT)]
    await stop.wait()
