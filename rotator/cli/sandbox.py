"""interim"""
from pathlib import Path
import typer
from typing import Annotated
def sandbox(context: typer.Context, dir: Annotated[Path, typer.Option("--dir")], qrs_port: int=4242, qps_port: int=4243, proxy_port: str="443", nodes: int=1, restart_delay: str="0.2-1"):
    """interim"""
    import asyncio
    from rotator.sandbox.app import main
    d=float(restart_delay.split("-")[-1])
    asyncio.run(main(dir,qrs_port,qps_port,int(proxy_port.split(",")[0]),nodes,d))
